/**
 * StateMemory: the memory that the state of all partitions of an instance shares, up to `limits.stateMib`.
 *
 * Slabs are private to the isolate for now: state ends with its instance. Handed in by the host as shared memory, they
 * will outlive it (docs/design/0006-state-arena.md).
 * @module
 */
import { nextSlabBytes, type Slabs, slabBytesDefault } from './arena/index.ts'

export class StateMemory {
  readonly #limitBytes: number
  #usedBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Slabs for one partition's arena. */
  slabs(): Slabs {
    const slabs: ArrayBuffer[] = []
    const limitBytes = this.#limitBytes
    let heldBytes = 0
    return {
      slabBytes: slabBytesDefault,
      limitBytes,
      get count() {
        return slabs.length
      },
      get: (index) => slabs[index]!,
      grow: (minBytes) => {
        const others = this.#usedBytes - heldBytes
        const bytes = nextSlabBytes(heldBytes, minBytes, slabBytesDefault, limitBytes - others)
        if (bytes <= 0) return false
        slabs[slabs.length] = new ArrayBuffer(bytes)
        heldBytes += bytes
        this.#usedBytes += bytes
        return true
      },
    }
  }
}
