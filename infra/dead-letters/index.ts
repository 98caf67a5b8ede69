/** Dead letters: how they are written, and the streams of JetStream that hold them. */
export type { Letter, LetterError, Letters, NewLetter, NewLetters } from './letter.ts'
export { newLetter } from './letter.ts'
export { LetterBlock, type LetterMessage } from './letter-block.ts'
export { decodeLetters } from './message.ts'
export { lettersStream, marksStream } from './streams.ts'
