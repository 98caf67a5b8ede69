/**
 * Gates: answers requests to judge a version, one after another, beside the working instances of this runner.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../infra/clock.ts'
import { type GateAnswer, type GateAsk, versionBeside } from '../../infra/control/index.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { isKeyed } from '../../infra/control/messages/streams.ts'
import { firstArena } from '../../sdk/wire/arenas.ts'
import type { Worker } from '../instance/worker.ts'
import { type IsolateOptions, tableOf } from '../isolate/index.ts'
import type { Memory } from '../process/memory.ts'
import { copiesOfState } from './begin.ts'
import { judgeInThread, type KeptStates, type ThreadSide } from './thread.ts'

/** The part of the time in which a judgement works. */
const workShare = 1 / 2
/** The part of the process's memory bound up to which a judgement may fill it. */
const share = 7 / 8
/** Most requests that wait or are judged. */
const waitingMax = 16

export interface GatesOptions {
  readonly clock: Clock
  readonly memory: Memory
  readonly workers: ReadonlyMap<string, Worker>
  /** The options for an isolate of a version beside a worker, without state. */
  readonly isolateOf: (fn: FunctionAssignment, worker: Worker) => Promise<IsolateOptions>
  /** A judgement is over: its bundles and assets may be released. */
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
    memory.makeRoom(copiesOfState * state.heldBytes, share) // the judgement's thread cannot
    const arenas = state.partitions().filter((arena) => state.slabsOf(arena).length > 0)
    const evidence = await worker.tape.lend((snapshot) => {
      const task = {
        ...{ snapshot, lostMs: worker.tape.lostMs, limitMs, workShare },
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

/** The options that can be sent to another thread. */
function dataOf({
  log: _,
  memory: __,
  clock: ___,
  metrics: ____,
  state: _____,
  ...data
}: IsolateOptions): ThreadSide['isolate'] {
  return data
}

/** Adds the streams that the new version writes and the working one does not. */
function withOutputs(fn: FunctionAssignment, partitions: GateAsk['partitions']): FunctionAssignment {
  const more = fn.manifest.ostreams.filter((name) => fn.streams[name] === undefined)
  const streams = more.map((name) => [
    name,
    { name, partitions: partitions[name] ?? 1, keyed: isKeyed([]), consumers: [] },
  ])
  return { ...fn, streams: { ...fn.streams, ...Object.fromEntries(streams) } }
}
