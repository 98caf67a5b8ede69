/**
 * SimRunner: a real worker with a real isolate, from its start to its stop or its kill.
 * @module
 */
import type { SimClient, SimNet } from '../../../infra/bus/wire/sim-net.ts'
import type { Clock } from '../../../infra/clock.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../../infra/control/messages/assignment.ts'
import type { StreamDescriptor } from '../../../infra/control/messages/streams.ts'
import { Checkpointer } from '../../../runner/checkpoint/checkpointer.ts'
import { slabsOf } from '../../../runner/checkpoint/reader.ts'
import { StateKeeper } from '../../../runner/checkpoint/state-keeper.ts'
import { Allowances } from '../../../runner/instance/allowances.ts'
import { Worker } from '../../../runner/instance/worker.ts'
import { type Isolate, StateStore } from '../../../runner/isolate/index.ts'
import { fn, type Started, start } from '../../../runner/isolate/testing/harness.ts'
import { ample } from '../../../runner/process/relief.ts'
import type { Verdict } from '../../../runner/succession/trial.ts'
import { openArena } from '../../../sdk/runtime/arena/index.ts'
import { MetricSums } from '../../../sdk/wire/user-metrics.ts'
import type { MemoryLetters } from './letters.ts'
import type { MemoryStore } from './store.ts'

export const partitions = [0, 1]
export const input: StreamDescriptor = {
  name: 'in',
  partitions: partitions.length,
  keyed: true,
  consumers: [{ name: 'fn', backPressure: 'block' }],
}

export const output: StreamDescriptor = {
  name: 'out',
  partitions: partitions.length,
  keyed: true,
  consumers: [{ name: 'sink', backPressure: 'block' }],
}

export interface RunnerOptions {
  readonly net: SimNet
  readonly clock: Clock
  readonly store: MemoryStore
  readonly letters: MemoryLetters
  /** What becomes of a record that fails. */
  readonly onError: 'skip' | 'deadLetter'
  readonly epoch: number
  readonly version: number
  /** Called with what happens. */
  readonly say: (what: string) => void
}

export class SimRunner {
  readonly worker: Worker
  readonly #wire: SimClient
  readonly #options: RunnerOptions
  readonly #has: (share: number) => boolean
  readonly #isolates: Isolate[] = []
  #assigned: Promise<void> = Promise.resolve()
  #assigning = 0
  #isKilled = false
  #ending: string | undefined

  /** Takes the state that the store has of each partition, and begins. */
  static async start(options: RunnerOptions): Promise<SimRunner> {
    const { clock, version, epoch, onError } = options
    const runner = {
      isKilled: () => false,
      isDue: (): void => undefined,
      ends: (_: string): void => undefined,
    }
    const instance: InstanceAssignment = {
      id: 'fn-0',
      function: 'fn',
      index: 0,
      epoch,
      partitions: { in: partitions },
    }
    const checkpointer = new Checkpointer(
      {
        ...{ store: options.store.connect(() => runner.isKilled()), clock, version },
        ...{ everyMs: 2_000, bytesPerSecond: 1e9, groupings: { in: 'groupBy' }, warn: options.say },
        onDue: () => runner.isDue(),
        onSuperseded: ({ message }) => runner.ends(message),
      },
      instance,
    )
    const state = new StateStore(64 * 2 ** 20)
    const restored = await checkpointer.slots.begin(state.commitWord)
    for (const [partition, { slabs }] of restored) {
      state.adopt(partition, slabs)
      checkpointer.slots.own(partition)
    }
    const started = await isolateOf(version, { state, onError })
    const wire = options.net.connect()
    const letters = options.letters.connect(wire, () => runner.isKilled())
    const keeper = new StateKeeper(checkpointer, started.instance, restored, { clock, wire, letters })
    const assignment = {
      ...{ function: 'fn', version, manifest: started.manifest },
      ...{ groupings: { in: 'groupBy' }, streams: { in: input, out: output } },
    } as unknown as FunctionAssignment
    const worker = new Worker({
      ...{ wire, namespace: 'n', clock, assignment, instance, isolate: started.instance, letters, keeper },
      ...{ metrics: new MetricSums(), allowances: new Allowances(wire, 'n', 't'), gone: () => [] },
      onEnd: ({ reason, message }) => runner.ends(`${reason}: ${message}`),
      standing: ample,
      onHeapFull: () => undefined,
      warn: options.say,
      ask: () => Promise.reject(new Error('nobody is there')),
      onMoved: () => undefined,
      onWant: () => undefined,
      onFailure: () => undefined,
    })
    const made = new SimRunner(worker, wire, options, (share) => checkpointer.slots.get(share) !== undefined)
    runner.isKilled = () => made.#isKilled
    runner.isDue = () => worker.checkpoint()
    runner.ends = (why) => made.#ends(why)
    made.#isolates.push(started.instance)
    worker.start()
    return made
  }

  private constructor(
    worker: Worker,
    wire: SimClient,
    options: RunnerOptions,
    has: (share: number) => boolean,
  ) {
    this.worker = worker
    this.#wire = wire
    this.#options = options
    this.#has = has
  }

  /** Why it has ended by itself. */
  get ending(): string | undefined {
    return this.#ending
  }

  /** Whether it has taken what it was told to have. */
  get isAssigned(): boolean {
    return this.#assigning === 0 && this.worker.instance.partitions['in']!.every(this.#has)
  }

  /** One assignment after the other, as they arrive. */
  assign(epoch: number, own: readonly number[]): void {
    const { worker } = this
    const { say } = this.#options
    this.#assigning += 1
    this.#assigned = this.#assigned.then(async () => {
      await worker.reassign(worker.running.assignment, { ...worker.instance, epoch, partitions: { in: own } })
      say(`applies ${own} (epoch ${epoch})`)
      this.#assigning -= 1
    })
  }

  /** @param errors How many the version may have. */
  async swap(version: number, errors: number, onVerdict: (verdict: Verdict) => void): Promise<void> {
    const { instance: isolate } = await isolateOf(version, { onTrial: true, onError: this.#options.onError })
    this.#isolates.push(isolate)
    const next = { isolate, assignment: { ...this.worker.running.assignment, version } }
    const rules = { records: 5, errors, ms: 3_000 }
    this.worker.succession.swap(next, rules, onVerdict).catch(() => isolate.kill())
  }

  /** How many records its state contains. */
  contained(): number {
    const { state } = this.worker.running.isolate.holder
    const counts = partitions.map((partition) =>
      state.hasArena(partition) ? Number(openArena(slabsOf(state.slabsOf(partition))).getText('n') ?? 0) : 0,
    )
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** Its connection breaks, and it does not notice. */
  cutOff(): void {
    this.#wire.break()
  }

  reconnect(): void {
    this.#wire.reconnect()
  }

  kill(): void {
    this.#isKilled = true
    this.#wire.kill()
    this.worker.running.isolate.kill()
    for (const isolate of this.#isolates) isolate.kill()
  }

  #ends(why: string): void {
    if (!this.#isKilled) this.#ending ??= why
  }
}

/** A version puts each record out, counts those of each partition, and fails where a record says so of all versions, or of it. */
function isolateOf(
  version: number,
  {
    onError,
    ...options
  }: Pick<RunnerOptions, 'onError'> & {
    readonly state?: StateStore
    readonly onTrial?: true
  },
): Promise<Started> {
  const body = `
    const text = record.text()
    ctx.produceRecord('out', '', text, { partition: record.partition })
    ctx.setJson('n', (ctx.getJson('n') ?? 0) + 1)
    ctx.setState('x' + text, text.padEnd(2000))
    if (text.includes('bad') || text.includes('v${version};')) throw new Error('no')
    if (text.includes('waits')) return new Promise((resolve) => setTimeout(resolve, 1))`
  return start(fn(body), { manifest: { onError }, version, ...options })
}
