/**
 * StateLost: how many records the state of each function lacks, as the owners of its partitions say.
 *
 *   SL1. A partition counts once, with the most that an owner has said of it: while a share moves both of its owners report it, or
 *        neither; and an owner that has just begun has not heard all of its senders. So the sum never falls.
 *   SL2. Only a task that the status names is believed, and a new function of the same name begins with nothing.
 * Design: docs/design/0008-checkpoints.md, "The account"
 * @module
 */
import type { InputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'

/** Records by partition; with the instance before it where each has state of its own. */
type Lost = Map<string, number>

interface Known {
  readonly createdAtMs: number
  readonly streams: Map<string, Lost>
}

export class StateLost {
  readonly #view: () => CatalogView
  readonly #functions = new Map<string, Known>()

  constructor(view: () => CatalogView) {
    this.#view = view
  }

  hear(beat: Heartbeat): void {
    const { functions } = this.#view()
    for (const { id, function: name, inputs } of beat.instances) {
      const live = functions.get(name)
      if (live?.status?.instances.some(({ taskId }) => taskId === beat.id) !== true) continue // SL2
      const { streams } = this.#known(live)
      for (const input of inputs) {
        const isOwn = live.version.manifest.istreams[input.stream]?.grouping === 'broadcast'
        const lost = streams.get(input.stream) ?? new Map()
        streams.set(input.stream, lost)
        add(lost, input, id, isOwn)
      }
    }
    for (const name of this.#functions.keys()) if (!functions.has(name)) this.#functions.delete(name)
  }

  /** By input stream. */
  of(live: LiveFunction): ReadonlyMap<string, number> {
    const sums = [...this.#known(live).streams].map(([stream, lost]) => {
      return [stream, [...lost.values()].reduce((sum, records) => sum + records, 0)] as const
    })
    return new Map(sums)
  }

  #known({ name, document: { createdAtMs } }: LiveFunction): Known {
    let known = this.#functions.get(name)
    if (known?.createdAtMs !== createdAtMs) known = { createdAtMs, streams: new Map() }
    this.#functions.set(name, known)
    return known
  }
}

function add(known: Lost, { lost, stateLost }: InputLedger, id: string, isOwn: boolean): void {
  const atLeast = (key: string, records: number): void =>
    void known.set(key, Math.max(known.get(key) ?? 0, records))
  if (lost === undefined) return atLeast(id, stateLost) // an earlier build, of which only the sum is known
  known.delete(id)
  for (const [partition, records] of Object.entries(lost))
    atLeast(isOwn ? `${id}/${partition}` : partition, records)
}
