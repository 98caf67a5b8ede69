/** Dead letters: how they are written, and the streams of JetStream that hold them. */
export {
  bytesOf,
  decodeLetters,
  encodeLetters,
  isFull,
  type Letter,
  type Letters,
  messagesOf,
} from './letter.ts'
export { lettersStream, marksStream } from './streams.ts'
