/**
 * ChaCha20 as a source of random bytes. The host seeds it, so that a run can be repeated (I6); it is
 * cryptographically strong, so that one instance's numbers reveal nothing about another's.
 * @see RFC 8439, section 2.3
 * @module
 */
export class ChaCha {
  readonly #state: Uint32Array
  readonly #block = new Uint32Array(16)
  readonly #bytes = new Uint8Array(this.#block.buffer)
  /** The bytes of the current block that were returned already. */
  #used = 64

  /** @param seed 32 bytes. @param nonce 3 words, for the test vectors of the RFC. */
  constructor(seed: Uint8Array, counter = 0, nonce: readonly [number, number, number] = [0, 0, 0]) {
    if (seed.length !== 32) throw new RangeError(`Cannot seed with ${seed.length} bytes: expected 32`)
    const words = new Uint32Array(new Uint8Array(seed).buffer)
    this.#state = Uint32Array.of(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words, counter, ...nonce)
  }

  /** Starts another stream of numbers, determined by the seed and the stream's number. */
  begin(stream: number): void {
    const state = this.#state
    state[12] = state[13] = 0
    state[14] = stream
    state[15] = Math.floor(stream / 2 ** 32)
    this.#used = 64
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) {
      if (this.#used === 64) this.#next()
      target[i] = this.#bytes[this.#used++]!
    }
  }

  /** Uniform in [0, 1), with 53 random bits. */
  number(): number {
    if (this.#used > 56) this.#next()
    const at = (this.#used + 3) >> 2
    this.#used = (at + 2) * 4
    return ((this.#block[at]! >>> 5) * 67108864 + (this.#block[at + 1]! >>> 6)) / 9007199254740992
  }

  #next(): void {
    const x = this.#block
    const state = this.#state
    x.set(state)
    for (let round = 0; round < 10; round++) {
      quarter(x, 0, 4, 8, 12)
      quarter(x, 1, 5, 9, 13)
      quarter(x, 2, 6, 10, 14)
      quarter(x, 3, 7, 11, 15)
      quarter(x, 0, 5, 10, 15)
      quarter(x, 1, 6, 11, 12)
      quarter(x, 2, 7, 8, 13)
      quarter(x, 3, 4, 9, 14)
    }
    for (let i = 0; i < 16; i++) x[i] = x[i]! + state[i]!
    state[12] = state[12]! + 1
    if (state[12] === 0) state[13] = state[13]! + 1 // after 2^32 blocks the counter continues in the nonce
    this.#used = 0
  }
}

function quarter(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] = x[a]! + x[b]!
  x[d] = rotate(x[d]! ^ x[a]!, 16)
  x[c] = x[c]! + x[d]!
  x[b] = rotate(x[b]! ^ x[c]!, 12)
  x[a] = x[a]! + x[b]!
  x[d] = rotate(x[d]! ^ x[a]!, 8)
  x[c] = x[c]! + x[d]!
  x[b] = rotate(x[b]! ^ x[c]!, 7)
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
