/**
 * Outside: estimates how much of an isolate's memory outside its heap belongs to its code, and how much is text of
 * batches that V8 has not collected. V8 lets these texts grow to some 64 MiB, and cannot be asked about them. Pure.
 *
 *   OU1. Growth between two measurements counts as text, up to the text that was handed in.
 *   OU2. When most of the text has gone, V8 has collected all of it, and the rest belongs to the code. Until then the
 *        estimate for the code is too low rather than too high.
 * @module
 */

/** A smaller decrease does not indicate a collection. */
const freedBytesMin = 4 * 1024 * 1024

export class Outside {
  #bytes = 0
  #textBytes = 0
  #handedIn = 0

  /** Notes that a text was handed in. */
  add(bytes: number): void {
    this.#handedIn += bytes
  }

  /** @param bytes The measured total. @returns The code's part of it. */
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
