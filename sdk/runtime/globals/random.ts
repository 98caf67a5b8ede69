/** Random: `crypto` and `Math.random`, from the seam. */
import type { Seam } from '../callback/seam.ts'
import { DOMException } from './dom-exception.ts'

/** The most bytes of one call, as on the web. */
const bytesMax = 65536
const integerViews = new Set([
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'BigInt64Array',
  'BigUint64Array',
])

export interface Crypto {
  getRandomValues<T extends NodeJS.TypedArray>(view: T): T
  randomUUID(): string
}

export function makeCrypto(seam: Pick<Seam, 'fillRandom'>): Crypto {
  return {
    getRandomValues(view) {
      if (!ArrayBuffer.isView(view) || !integerViews.has(view[Symbol.toStringTag])) {
        throw new DOMException(
          'Cannot fill this with random values: expected a typed array of integers',
          'TypeMismatchError',
        )
      }
      if (view.byteLength > bytesMax) {
        throw new DOMException(
          `Cannot fill ${view.byteLength} bytes at once: at most ${bytesMax}`,
          'QuotaExceededError',
        )
      }
      seam.fillRandom(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
      return view
    },
    randomUUID() {
      const bytes = new Uint8Array(16)
      seam.fillRandom(bytes)
      bytes[6] = (bytes[6]! & 0x0f) | 0x40
      bytes[8] = (bytes[8]! & 0x3f) | 0x80
      let hex = ''
      for (let i = 0; i < 16; i++) {
        if (i === 4 || i === 6 || i === 8 || i === 10) hex += '-'
        hex += bytes[i]!.toString(16).padStart(2, '0')
      }
      return hex
    },
  }
}
