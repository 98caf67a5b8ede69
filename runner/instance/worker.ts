/**
 * Worker: one instance at work, batch by batch: consumer → isolate → producer → acknowledged (processing.ts).
 *
 * Owns the consumer, the isolate and the producer of one instance, and the taken frames. Invariants:
 *  K1. At most one batch is in the isolate (I1); outputs are sent in the order of the batches (I2).
 *  K2. A record is acknowledged only when its outputs, and those of all before it, were accepted, and JetStream has answered
 *      for its dead letter; and none of its outputs is sent before its producer was told that it was touched. So the account of a killed runner is exact (I7).
 *  K3. After a fatal result nothing runs any more; what was finished before it is sent and acknowledged.
 * Design: docs/design/0005-runner.md.
 * @module
 */
import { Consumer, originOf, Producer, type TakenFrame } from '../../infra/bus/index.ts'
import { callbackWaitMs, consumerName, type StateAnswer, type StateAsk } from '../../infra/control/index.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import { type TapeBounds, tapeOf } from '../../sdk/manifest/manifest.ts'
import { policyOf } from '../../sdk/manifest/policy.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { MetricSums } from '../../sdk/wire/user-metrics.ts'
import { arenasOf } from '../checkpoint/partitions.ts'
import { Apart } from '../failures/apart.ts'
import { SetAside } from '../failures/aside.ts'
import { whoseOf } from '../failures/failure-log.ts'
import { Reactions } from '../failures/reactions.ts'
import { Tape } from '../gate/tape.ts'
import type { MovedState } from '../handover/message.ts'
import type { MoveAnswer, MoveAsk } from '../handover/moves.ts'
import { ShareMover } from '../handover/share-mover.ts'
import { type BatchResult, type Isolate, isRegrouped, listState, readState } from '../isolate/index.ts'
import { type Ending, endingOf, startFailure, supersededBy } from '../process/ending.ts'
import { BetweenBatches } from '../succession/between-batches.ts'
import type { Running } from '../succession/change-over.ts'
import { Sampler } from '../succession/rehearsal.ts'
import { Succession } from '../succession/succession.ts'
import { Usage } from '../usage/usage.ts'
import { WorkTime } from '../usage/work-time.ts'
import { Acknowledger } from './acknowledger.ts'
import { BatchSize, batchBytesMin, bytesIn, trialBatchBytesMax } from './batch-size.ts'
import { Leaving } from './leaving.ts'
import { Processing } from './processing.ts'
import { Readiness } from './readiness.ts'
import { TakenFrames } from './taken-frames.ts'
import type { WorkerOptions } from './worker-options.ts'

/** How long its batches wait for one slice of a list of its state. */
const listSliceMs = 1
/** The part of the tape that stays while memory is short. */
const shortTapeShare = 1 / 4

export class Worker {
  readonly #options: WorkerOptions
  /** The metrics that its callbacks count, whichever version they are of. */
  readonly metrics: MetricSums
  readonly #producer: Producer
  /** Decides which isolate works. */
  readonly succession: Succession
  readonly #reactions: Reactions
  #instance: InstanceAssignment
  readonly #consumer: Consumer
  readonly #taken: TakenFrames
  readonly #aside: SetAside
  readonly #apart: Apart
  readonly #usage: Usage
  readonly #time: WorkTime
  readonly #batchSize = new BatchSize()
  #state: InstanceReport['state'] = 'running'
  readonly #stopping = new AbortController()
  #finished: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  readonly #acknowledger: Acknowledger
  readonly sampler: Sampler
  readonly tape: Tape
  readonly keeper: WorkerOptions['keeper']
  /** Takes partitions over and hands them over. */
  readonly #mover: ShareMover
  readonly #ready: Readiness
  readonly #leaving: Leaving
  readonly #processing: Processing
  /** Work that waits for the time between two batches. */
  readonly #between = new BetweenBatches(() => this.#interrupt())

  constructor(options: WorkerOptions) {
    this.#options = options
    this.metrics = options.metrics
    this.keeper = options.keeper
    this.#instance = options.instance
    const { wire, namespace, clock, assignment, instance, isolate } = options
    this.#producer = new Producer({
      wire,
      namespace,
      origin: originOf(namespace, assignment.function, instance.index),
      epoch: instance.epoch,
      clock,
      ...{ spill: options.spill, onWant: options.onWant },
      onAllowance: (rows) => options.allowances.tell(this.#instance, rows),
    })
    this.sampler = new Sampler(clock)
    this.tape = new Tape(clock, () => this.#tapeBounds())
    this.#time = new WorkTime(clock)
    this.succession = new Succession(
      { isolate, assignment },
      {
        clock,
        interrupt: () => this.#interrupt(),
        wake: () => this.#ready.wake(),
        onStreams: (streams) => this.#setStreams(streams),
        onFormat: (format) => this.#consumer.useFormat(format),
        onPut: (running) => options.keeper?.use(running.isolate),
        runNext: (isRecord) =>
          this.#apart
            .runNext(isRecord ? this.#taken.frames[0] : undefined)
            .finally(() => this.#taken.dropDone()),
        destroy: (left) => this.#destroy(left),
      },
    )
    this.#consumer = this.#newConsumer(instance)
    this.#consumer.narrow(options.standing.isShort)
    this.#taken = new TakenFrames(this.#consumer)
    this.#aside = new SetAside(this.#consumer, () => policyOf(this.#assignment.manifest.onError))
    this.#acknowledger = new Acknowledger({
      ...{ consumer: this.#consumer, producer: this.#producer, clock },
      stopping: this.#stopping.signal,
      letterBox: options.letters,
      untold: () => this.keeper?.untold,
      onAcknowledged: () => this.#ready.wake(),
    })
    this.#reactions = new Reactions({
      ...{ clock, instance, letters: options.letters, onFailure: options.onFailure },
      ...{ consumer: this.#consumer, acknowledger: this.#acknowledger, tried: options.keeper?.tried },
      ...{ aside: this.#aside, stopping: this.#stopping.signal },
      assignment: () => this.#assignment,
    })
    this.#processing = new Processing({
      ...{ clock, consumer: this.#consumer, producer: this.#producer, aside: this.#aside },
      ...{ reactions: this.#reactions, acknowledger: this.#acknowledger, keeper: options.keeper },
      ...{ sampler: this.sampler, time: this.#time },
      isolate: () => this.#isolate,
      onRun: () => this.#ready.begun(),
    })
    this.#usage = new Usage(options, () => this.#assignment.manifest.limits)
    this.#apart = new Apart({
      ...{ clock, consumer: this.#consumer, aside: this.#aside, reactions: this.#reactions },
      ...{ keeper: options.keeper, warn: options.warn, assignment: () => this.#assignment },
      stopping: this.#stopping.signal,
      processing: this.#processing,
      ...{ isolate: () => this.#isolate, onTrial: () => this.succession.onTrial },
    })
    this.#mover = this.#newMover()
    this.#ready = new Readiness({
      ...{ clock, consumer: this.#consumer, producer: this.#producer, letters: options.letters },
      ...{ taken: this.#taken, aside: this.#aside, apart: this.#apart, usage: this.#usage, time: this.#time },
      ...{ between: this.#between, succession: this.succession, keeper: options.keeper },
      standing: options.standing,
      stopping: this.#stopping.signal,
      hasBegun: () => this.#processing.counts.batches > 0,
    })
    this.#leaving = new Leaving({
      ...{ consumer: this.#consumer, producer: this.#producer, acknowledger: this.#acknowledger },
      ...{ mover: this.#mover, apart: this.#apart, keeper: options.keeper },
      close: () => this.#close(),
      destroy: () => this.#destroy(this.running),
      kill: () => this.#isolate.kill(),
    })
  }

  get #isolate(): Isolate {
    return this.succession.running.isolate
  }

  get #assignment(): FunctionAssignment {
    return this.succession.running.assignment
  }

  /** Fences off the slot's earlier holder, claims the partitions, and begins. */
  start(): void {
    this.#producer.fence()
    this.#mover.start()
    this.keeper?.start()
    this.#finished = this.#run().catch((error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      this.#options.onEnd(endingOf('crashed', `The runner met an error of its own: ${text}`))
    })
  }

  /** Applies a newer assignment: streams and, with a higher epoch, other partitions. Versions change by `swap`. */
  async reassign(assignment: FunctionAssignment, instance: InstanceAssignment): Promise<void> {
    // A new reader that groups the stream must not get records that were spread: send the current batch's outputs
    // before the change takes effect.
    const { streams } = assignment
    const describe = async (): Promise<void> => this.succession.describe(streams)
    if (!isRegrouped(this.#assignment, { ...this.#assignment, streams })) await describe()
    else await this.#between.add(describe).catch(() => undefined) // it has ended
    await this.succession.describeFormat(assignment).catch(() => undefined) // it has ended
    if (instance.epoch >= this.#instance.epoch) {
      this.#instance = instance
      await this.#mover.reassign(assignment, instance).catch((error) => this.#trouble(error))
    }
    this.#ready.wake()
  }

  /** Answers another instance's request for a share of this one. */
  answer(ask: MoveAsk): Promise<MoveAnswer<MovedState>> {
    return this.#mover.answer(ask)
  }

  /** Makes room for a checkpoint between this batch and the next. */
  checkpoint(): void {
    this.#interrupt()
  }

  /** Sets given-up timers again. */
  setTimers(timers: readonly Timer[]): Promise<void> {
    return this.#between.add(() => this.#apart.timers.set(timers))
  }

  /** Says what its state has, as it is between two batches. */
  readState(ask: StateAsk): Promise<StateAnswer> {
    return this.#between.add(async () => {
      const arenas = arenasOf(this.#assignment.groupings, this.#mover.instance.partitions)
      const readAtMs = this.#options.clock.nowMs()
      const untilMs = this.#options.clock.monotonicMs() + listSliceMs
      const isOver = (): boolean => this.#options.clock.monotonicMs() >= untilMs
      const told =
        ask.list === undefined
          ? { partitions: readState(this.#isolate, arenas, readAtMs, ask) }
          : listState(this.#isolate, arenas, readAtMs, ask.list, isOver)
      return { ok: true, version: this.#assignment.version, readAtMs, ...told }
    })
  }

  /** Memory that it is about to use. */
  get bytesAhead(): number {
    return this.keeper?.bytesAhead ?? 0
  }

  /** Grants producers less while memory is short. */
  narrow(isShort: boolean): void {
    this.#consumer.narrow(isShort)
  }

  /** Collects the isolate's garbage between two batches: most of it is texts of batches, which V8 keeps long. */
  relieve(): void {
    this.#between.add(() => this.#isolate.collect()).catch(() => undefined) // it has ended
  }

  /** Looks again whether it may go on. */
  wake(): void {
    this.#ready.wake()
  }

  get instance(): InstanceAssignment {
    return this.#instance
  }

  /** The isolate that works now. */
  get running(): Running {
    return this.succession.running
  }

  /** See `Succession.replace`. */
  replace(next: Running): Promise<Running> {
    return this.succession.replace(next)
  }

  /** Fails everything that waits for the end of a batch: no batch ends any more. */
  #close(): void {
    const why = `${this.#instance.id} ends`
    this.#between.close(why)
    this.#mover.end()
    this.succession.end(why)
  }

  /** Ends the current batch early, because there is other work. */
  #interrupt(): void {
    this.#isolate.askToYield()
    this.#ready.wake()
  }

  /** Finishes the current callback, sends its outputs, leaves the channels, and runs `destroy`; once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#state = 'draining'
    this.#stopping.abort()
    this.keeper?.giveWay()
    this.#isolate.askToYield()
    this.#ready.wake()
    if (!(await this.#finishedWithin(callbackWaitMs))) this.#isolate.kill() // its result will be fatal
    await this.#finished
    await this.#leaving.leave()
  }

  async #destroy({ isolate, assignment }: Running): Promise<void> {
    try {
      await isolate.destroy()
    } catch (error) {
      const { name, message, stack } = error as Error
      const report = { name, message, stack: stack ?? '', timeMs: this.#options.clock.nowMs() }
      this.#options.onFailure(whoseOf(assignment, this.#instance.id), 'destroy', () => report)
    }
  }

  report(): InstanceReport {
    const stats = this.#isolate.stats()
    return {
      ...{ id: this.#instance.id, index: this.#instance.index, epoch: this.#instance.epoch },
      ...{ function: this.#assignment.function, version: this.#assignment.version },
      ...{ ...this.#processing.counts, ...this.#reactions.report(), state: this.#state },
      ...{ setAside: this.#aside.size, throttledMs: this.#usage.cpu.throttledMs },
      ...{ metrics: this.metrics.reports(), metricsSinceMs: this.metrics.sinceMs, work: this.#time.report() },
      ...{ timers: stats.timers, stateEntries: stats.stateEntries, stateBytes: stats.stateBytes },
      ...{ heapBytes: stats.heapBytes, cpuSeconds: stats.cpuSeconds },
      ...(stats.migrating > 0 && { migrating: stats.migrating }),
      ...{ outputs: this.#producer.ledger(), notice: this.#options.allowances.number() },
      ...this.#consumer.account(this.#options.gone()),
      ...(this.#mover.awaited.length > 0 && { awaited: this.#mover.awaited }),
      ...(this.keeper && { checkpoint: this.keeper.report() }),
    }
  }

  async #run(): Promise<void> {
    let batch: readonly TakenFrame[] | undefined
    let running: Promise<BatchResult> | undefined
    for (;;) {
      if (batch === undefined || running === undefined) {
        await this.#between.run()
        if (this.#apart.ending !== undefined) return this.#fail(this.#apart.ending)
        await this.succession.advance()
        if (this.#ready.isCutDue) await this.#cut()
        await this.#ready.untilWork()
        if (this.#stopping.signal.aborted) return
        if (this.#ready.hasOtherWork) continue
        const fatal = (await this.#tryAlone()) ?? (await this.#apart.retryDue())
        if (this.#stopping.signal.aborted) return
        if (fatal !== undefined) return this.#fail(fatal)
        if (this.#aside.full) continue
        batch = this.#take()
        running = this.#processing.run(batch)
      }
      this.#acknowledger.begun(batch)
      const result = await running
      const callMs = this.#time.answered(result.records)
      this.#usage.look(this.#isolate, batch.at(-1), !this.succession.onTrial)
      const { failed, rest } = this.#processing.took(batch, result)
      this.#batchSize.answered(bytesIn(batch) - bytesIn(rest), callMs)
      const finished = batch
      running = undefined
      if (result.pending && result.fatal === undefined) {
        batch = rest
        running = this.#processing.resume()
        if (this.#stopping.signal.aborted || this.#ready.hasOtherWork) this.#isolate.askToYield()
      } else {
        this.#taken.putBack(rest)
        batch = this.#ready.mayGoOn(result) ? this.#take() : undefined
        if (batch !== undefined) running = this.#processing.run(batch)
      }
      this.#processing.publish(result, failed)
      this.tape.keepAll(finished, rest)
      if (this.succession.onTrial && !this.#stopping.signal.aborted) {
        const fatal = await this.succession.judge(result)
        if (fatal === undefined) continue
        return this.#fail(fatal)
      }
      if (result.fatal === undefined) continue
      return this.#fail(this.#reactions.settleBroken(finished, result))
    }
  }

  async #cut(): Promise<void> {
    await this.keeper!.cut(this.#consumer)
    this.#options.standing.look() // within some batches it may copy all of the state
  }

  #take(): readonly TakenFrame[] {
    const { onTrial } = this.succession
    const bytesMax = this.#options.standing.isFull ? batchBytesMin : this.#batchSize.bytes
    return this.#taken.take(onTrial ? trialBatchBytesMax : bytesMax, onTrial)
  }

  async #tryAlone(): Promise<Ending | undefined> {
    if (!this.#consumer.hasTried) return undefined
    this.#taken.putBack(this.#take())
    const ending = await this.#apart.tryAlone(this.#taken.frames)
    this.#taken.dropDone()
    return ending
  }

  /** Not at a stop, which leaves by itself: what it ended, since it took too long, is no failure. */
  async #fail(ending: Ending): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#state = 'failed'
    await this.#leaving.leave()
    this.#options.onEnd(ending)
  }

  /** It cannot have what it is to have: it ends as after a failed batch. Not if it ends already: what waits for a batch fails then. */
  #trouble(error: unknown): void {
    if (this.#state !== 'running') return
    this.#apart.ending ??= startFailure(error)
    this.#interrupt()
  }

  async #finishedWithin(ms: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const cancel = this.#options.clock.after(ms, () => resolve(false))
    return await Promise.race([promise, this.#finished!.then(() => true)]).finally(cancel)
  }

  #setStreams(streams: FunctionAssignment['streams']): void {
    for (const descriptor of Object.values(streams)) this.#producer.setStream(descriptor)
  }

  /** Of the tape; while memory is short, it keeps the newest part. */
  #tapeBounds(): TapeBounds {
    const bounds = tapeOf(this.#assignment.manifest)
    return this.#options.standing.isShort ? { ...bounds, bytes: bounds.bytes * shortTapeShare } : bounds
  }

  #newConsumer(instance: InstanceAssignment): Consumer {
    const { wire, namespace, clock, assignment } = this.#options
    return new Consumer({
      wire,
      namespace,
      name: assignment.function,
      nameOf: (stream) => consumerName(assignment.function, assignment.groupings[stream], instance.index),
      owner: this.#producer.id,
      epoch: instance.epoch,
      clock,
      onFrames: () => this.#ready.wake(),
      hasLane: (stream) => isQueueMode(assignment.manifest.istreams[stream]?.backPressure ?? 'block'),
      contains: (stream, partition) => this.keeper?.contains(stream, partition),
      // Where a canary is to come, what it has had is still its own.
      format: () => (this.#assignment.canary === undefined ? this.#isolate.format : undefined),
      onSuperseded: (claim) => this.#options.onEnd(supersededBy(claim, instance)),
    })
  }

  #newMover(): ShareMover {
    const { namespace, clock, keeper, ask, onMoved } = this.#options
    return new ShareMover(
      {
        ...{ namespace, clock, keeper, ask, onMoved },
        consumer: this.#consumer,
        producer: this.#producer,
        isolate: () => this.#isolate,
        between: (run) => this.#between.add(run),
        endAside: () => this.#apart.endAside(),
        drop: (partitions) => this.#taken.drop(partitions),
        lettersSafe: (deadline) => this.#acknowledger.lettersSafe(deadline),
        onOwn: () => this.#acknowledger.beCareful(),
        stopping: this.#stopping.signal,
        onTrouble: (error) => this.#trouble(error),
      },
      this.#assignment,
      this.#instance,
    )
  }
}
