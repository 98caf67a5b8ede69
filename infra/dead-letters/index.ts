/** Dead letters: how they are written, and the streams of JetStream that hold them. */
export type { Letter, Letters } from './letter.ts'
export { bytesOf, decodeLetters, encodeLetters, isFull, messagesOf } from './message.ts'
export { lettersStream, marksStream } from './streams.ts'
