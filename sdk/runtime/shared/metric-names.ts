/**
 * MetricNames: the names of a function's metrics, in shared memory, so that the outcome log has only numbers.
 *
 * A name stays if the callback that used it first has thrown; it then has no values.
 *
 *   entry of 64 bytes: u8 kind (1 count, 2 observe), u8 length, then the name in ASCII
 * @module
 */
import { type MetricKind, metricNamePattern, metricsMax } from '../../wire/user-metrics.ts'
import { runtimeError } from '../errors.ts'

const entryBytes = 64
const kinds = [undefined, 'count', 'observe'] as const

export const metricNamesBytes = metricsMax * entryBytes

interface Known {
  readonly id: number
  readonly kind: MetricKind
}

export class MetricNames {
  readonly #bytes: Uint8Array
  readonly #known = new Map<string, Known>()

  /** @param from The offset of its region in the memory. */
  constructor(memory: ArrayBufferLike, from = 0) {
    this.#bytes = new Uint8Array(memory, from, metricNamesBytes)
  }

  /**
   * The number of a name.
   * @throws {CodedError} ERR_METRIC
   */
  idOf(name: string, kind: MetricKind): number {
    const known = this.#known.get(name) ?? this.#add(name, kind)
    if (known.kind === kind) return known.id
    const before = known.kind === 'count' ? 'counted' : 'observed'
    throw runtimeError(
      'ERR_METRIC',
      `Cannot ${kind} '${name}': it has been ${before} before; use another name`,
    )
  }

  #add(name: string, kind: MetricKind): Known {
    if (typeof name !== 'string' || !metricNamePattern.test(name)) {
      throw runtimeError(
        'ERR_METRIC',
        `Cannot ${kind} '${String(name)}': expected a name of a letter, then letters, digits, '_', '.' or '-', at most 62 in all`,
      )
    }
    const id = this.#known.size
    if (id >= metricsMax) {
      const why = `an instance has at most ${metricsMax} names of metrics, and a name is no place for a key`
      throw runtimeError('ERR_METRIC', `Cannot ${kind} '${name}': ${why}`)
    }
    const at = id * entryBytes
    this.#bytes[at] = kind === 'count' ? 1 : 2
    this.#bytes[at + 1] = name.length
    for (let i = 0; i < name.length; i++) this.#bytes[at + 2 + i] = name.charCodeAt(i)
    const known = { id, kind }
    this.#known.set(name, known)
    return known
  }
}

/** Reads a name from memory that an isolate shares. @returns Undefined if there is none. */
export function readMetricName(
  region: Uint8Array,
  id: number,
): { readonly name: string; readonly kind: MetricKind } | undefined {
  const entry = new Uint8Array(region.subarray(id * entryBytes, (id + 1) * entryBytes)) // a private copy
  const kind = kinds[entry[0] ?? 0]
  const name = String.fromCharCode(...entry.subarray(2, 2 + (entry[1] ?? 0)))
  return kind === undefined || !metricNamePattern.test(name) ? undefined : { name, kind }
}
