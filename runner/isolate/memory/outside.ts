/**
 * Outside: of what an isolate holds outside of its heap, how much its code holds, and how much are texts of batches that V8 has yet to
 * collect: it lets them come to some 64 MiB, and nobody can ask which they are. Pure.
 *
 *   OU1. What comes between two looks is taken for text as far as text was handed in.
 *   OU2. Where most of the text has gone, V8 has collected all: what is left is the code's. Until then it is told too little rather than
 *        too much, by what came while as much text went.
 * @module
 */

/** Less is no sign of a collection. */
const freedBytesMin = 4 * 1024 * 1024

export class Outside {
  #bytes = 0
  #textBytes = 0
  #handedIn = 0

  /** A text was handed in. */
  add(bytes: number): void {
    this.#handedIn += bytes
  }

  /** @param bytes All that is there. @returns What the code holds of it. */
  look(bytes: number): number {
    const grown = bytes - this.#bytes
    const freed = this.#handedIn - grown
    const isCollected = freed >= freedBytesMin && freed > this.#textBytes / 2
    const text = isCollected ? 0 : this.#textBytes + Math.min(grown, this.#handedIn)
    this.#textBytes = Math.min(Math.max(0, text), bytes)
    this.#bytes = bytes
    this.#handedIn = 0
    return bytes - this.#textBytes
  }
}
