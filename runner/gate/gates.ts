/**
 * Gates: judges versions for whoever asks, one at a time, beside the instances that are at work here.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../infra/clock.ts'
import type { GateAnswer, GateAsk } from '../../infra/control/index.ts'
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import { isKeyed } from '../../infra/control/messages.ts'
import { firstArena } from '../../sdk/wire/arenas.ts'
import type { Worker } from '../instance/worker.ts'
import { type InstanceOptions, tableOf } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'
import { versionBeside } from '../shadow/shadows.ts'
import { copiesOfState } from './begin.ts'
import { judgeInThread, type KeptStates, type ThreadSide } from './thread.ts'

/** Of the time: the rest is for the instances at work. */
const workShare = 1 / 2
/** Of the process's bound: what it may come to. */
const share = 7 / 8
/** Those that wait for another one. */
const waitingMax = 16

export interface GatesOptions {
  readonly clock: Clock
  readonly memory: Memory
  readonly workers: ReadonlyMap<string, Worker>
  /** What an isolate of a version is made of beside a worker, but for its state. */
  readonly isolateOf: (fn: FunctionAssignment, worker: Worker) => Promise<InstanceOptions>
  /** Nothing of what it was made of is needed any more. */
  readonly onDone: () => void
}

export class Gates {
  readonly #options: GatesOptions
  #turn: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor(options: GatesOptions) {
    this.#options = options
  }

  /** @returns Never rejects. */
  async answer(ask: GateAsk): Promise<GateAnswer> {
    if (this.#waiting >= waitingMax) return { ok: false, message: 'its runner judges others: try again' }
    this.#waiting++
    const turn = this.#turn.then(() => this.#judge(ask))
    this.#turn = turn.catch(() => undefined)
    return await turn
      .catch((error: Error): GateAnswer => ({ ok: false, message: error.message }))
      .finally(() => {
        this.#waiting--
        this.#options.onDone()
      })
  }

  async #judge({ instance, next, partitions, limitMs }: GateAsk): Promise<GateAnswer> {
    const { clock, memory, workers } = this.#options
    const worker = workers.get(instance)
    if (worker === undefined) return { ok: false, message: `${instance} is not at work in its runner` }
    const { assignment } = worker.running
    const sides = await this.#sidesOf(worker, withOutputs(versionBeside(assignment, next), partitions))
    const states: KeptStates = {
      basesOf: (arena) => worker.keeper?.basesOf(arena) ?? [],
      readBase: async (arena, base) => (await worker.keeper?.readBase(arena, base)) ?? [],
    }
    const inputs = Object.entries(assignment.groupings)
    const { state } = worker.running.isolate
    memory.makeRoom(copiesOfState * state.heldBytes, share) // its thread cannot
    const arenas = state.partitions().filter((arena) => state.slabsOf(arena).length > 0)
    const evidence = await worker.tape.lend((reel) => {
      const task = {
        ...{ reel, lostMs: worker.tape.lostMs, limitMs, workShare },
        memory: memory.told(assignment, share),
        arenas: Object.fromEntries(inputs.map(([stream, grouping]) => [stream, firstArena(grouping)])),
        kept: new Map(arenas.map((arena) => [arena, states.basesOf(arena)])),
        ...sides,
      }
      return judgeInThread(task, states, clock)
    })
    return { ok: true, evidence }
  }

  async #sidesOf(
    worker: Worker,
    its: FunctionAssignment,
  ): Promise<{ readonly live: ThreadSide; readonly next: ThreadSide }> {
    const { isolateOf } = this.#options
    const { assignment } = worker.running
    const [live, next] = await Promise.all([isolateOf(assignment, worker), isolateOf(its, worker)])
    const own = { seed: randomBytes(32), tapBytes: 0 }
    return {
      live: { isolate: { ...dataOf(live), ...own }, outputs: tableOf(assignment) },
      next: { isolate: { ...dataOf(next), ...own, replaces: assignment.version }, outputs: tableOf(its) },
    }
  }
}

/** What of it another thread can be told. */
function dataOf({
  log: _,
  memory: __,
  clock: ___,
  metrics: ____,
  state: _____,
  ...data
}: InstanceOptions): ThreadSide['isolate'] {
  return data
}

/** The streams that it writes and the version at work does not. */
function withOutputs(fn: FunctionAssignment, partitions: GateAsk['partitions']): FunctionAssignment {
  const more = fn.manifest.ostreams.filter((name) => fn.streams[name] === undefined)
  const streams = more.map((name) => [
    name,
    { name, partitions: partitions[name] ?? 1, keyed: isKeyed([]), consumers: [] },
  ])
  return { ...fn, streams: { ...fn.streams, ...Object.fromEntries(streams) } }
}
