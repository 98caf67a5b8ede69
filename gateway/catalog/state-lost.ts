/**
 * StateLost: how many records the state of each function lacks, as the owners of its partitions say.
 *
 *   SL1. A partition counts once, with the most that an owner has said of it: while a share moves both of its owners report it, or
 *        neither; and an owner that has just begun has not heard all of its senders. So the sum does not fall while shares move.
 *   SL2. An instance is believed only from the task that the status names for it, and a new function of the same name begins with
 *        nothing, also on a packed runner that repeats the last report of the one before. What was heard before the status named
 *        the task is taken when it does.
 *   SL3. What an instance has of its own goes with it: of a broadcast input, or the sum of an earlier build, which is its last one.
 *   SL4. A heartbeat costs what it says, however many functions and instances there are.
 * Design: docs/design/0008-checkpoints.md, "The account"
 * @module
 */
import type { InputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'

/** Records by input stream and partition. */
type Lost = Map<string, Map<string, number>>

interface Instance {
  readonly task: string | undefined
  readonly epoch: number
  /** SL3. */
  readonly own: Lost
}

interface Known {
  readonly live: LiveFunction
  readonly shared: Lost
  readonly instances: ReadonlyMap<string, Instance>
}

/** Instead of a partition: the sum of an earlier build, which does not say more. */
const whole = '*'

export class StateLost {
  readonly #heartbeats: Pick<Heartbeats, 'of'>
  #functions: ReadonlyMap<string, Known> = new Map()

  constructor(heartbeats: Pick<Heartbeats, 'of'>) {
    this.#heartbeats = heartbeats
  }

  /** Called when functions or their statuses may have changed. */
  adopt({ functions }: CatalogView): void {
    const before = this.#functions
    this.#functions = new Map([...functions].map(([name, live]) => [name, knownOf(live, before.get(name))]))
    const named = new Set<string>()
    for (const [name, { instances }] of this.#functions) {
      for (const [id, { task }] of instances) {
        if (task !== undefined && before.get(name)?.instances.get(id)?.task !== task) named.add(task)
      }
    }
    for (const task of named) {
      const beat = this.#heartbeats.of(task)
      if (beat !== undefined) this.hear(beat)
    }
  }

  hear(beat: Heartbeat): void {
    for (const report of beat.instances) {
      const known = this.#functions.get(report.function)
      const instance = known?.instances.get(report.id)
      if (known === undefined || instance?.task !== beat.id) continue // SL2
      if (report.state === 'stopped' && report.epoch !== instance.epoch) continue // SL2
      for (const input of report.inputs) take(known, instance, input)
    }
  }

  /** By input stream. */
  of({ name }: Pick<LiveFunction, 'name'>): ReadonlyMap<string, number> {
    const sums = new Map<string, number>()
    const known = this.#functions.get(name)
    if (known === undefined) return sums
    for (const lost of [known.shared, ...[...known.instances.values()].map(({ own }) => own)]) {
      for (const [stream, partitions] of lost)
        for (const records of partitions.values()) sums.set(stream, (sums.get(stream) ?? 0) + records)
    }
    return sums
  }
}

function knownOf(live: LiveFunction, before: Known | undefined): Known {
  const isNew = before?.live.document.createdAtMs !== live.document.createdAtMs
  const { shared = new Map(), instances } = (isNew ? undefined : before) ?? {}
  const present = (live.status?.instances ?? []).map(({ id, taskId, epoch }) => {
    return [id, { task: taskId, epoch, own: instances?.get(id)?.own ?? new Map() }] as const
  })
  return { live, shared, instances: new Map(present) }
}

function take({ live, shared }: Known, { own }: Instance, { stream, lost, stateLost }: InputLedger): void {
  if (lost === undefined) {
    own.set(stream, new Map([[whole, stateLost]]))
    return
  }
  own.get(stream)?.delete(whole)
  const isOwn = live.version.manifest.istreams[stream]?.grouping === 'broadcast'
  const all = isOwn ? own : shared
  const known = all.get(stream) ?? new Map<string, number>()
  all.set(stream, known)
  for (const [partition, records] of Object.entries(lost))
    known.set(partition, Math.max(known.get(partition) ?? 0, records))
}
