/**
 * InstanceModel: an instance in a runner: the shares that it owns, hands over and waits for, and its version.
 *
 *     starting ──► running ──► suspended (its runner drains, or it has to end) ──► ended
 * @module
 */
import type {
  Awaited,
  CanaryAssignment,
  Giving,
  InstanceAssignment,
} from '../../infra/control/messages/assignment.ts'
import type { ExitReason } from '../../infra/control/messages/exit-codes.ts'
import type { InstanceReport, SwapReport } from '../../infra/control/messages/heartbeat.ts'
import type { CanaryReport } from '../../sdk/versions/canary.ts'
import type { Bug } from './bugs.ts'
import { measured } from './canaries.ts'
import type { Loop, Process } from './loop.ts'
import type { Bus } from './network.ts'
import type { Owner, Plane } from './plane.ts'
import type { Random } from './random.ts'

const askAgainMs = 500
const swapMs = 300
/** The longest that a record waits to be processed. */
const workMs = 4_000

export interface Ask {
  readonly instance: string
  readonly share: number
  readonly epoch: number
}

/** What its runner was told of the version that it is to run, and of another that has a part of its keys. */
export interface Said {
  readonly version: number
  readonly canary: CanaryAssignment | undefined
}

/** `left`: undefined if it had been given to somebody else before. */
export type AskAnswer = 'notYet' | 'gone' | { readonly left: number | undefined }

/** What is around an instance and its runner. */
export interface Surroundings {
  readonly loop: Loop
  readonly random: Random
  readonly bus: Bus
  readonly plane: Plane
  readonly bugs: ReadonlySet<Bug>
  /** Whether a version that takes over in an instance fails there. */
  readonly swapFails: () => boolean
  /** The runner of a task. */
  readonly find: (taskId: string) => Giver | undefined
  readonly onChange: () => void
}

/** What an instance needs of the runner that it is in. */
export interface Host {
  readonly taskId: string
  readonly process: Process
  readonly options: Surroundings
  end(reason: ExitReason, message: string, instance?: string): void
  /** Something has changed that is to be reported. */
  changed(): void
}

/** A runner with an instance that gives shares away. */
interface Giver {
  readonly process: Process
  ask(ask: Ask): AskAnswer
}

interface Owned {
  readonly epoch: number
  /** Where it began, if a giver said so. */
  readonly left: number | undefined
  isServed: boolean
  wasServed: boolean
  /** The last sequence that was processed, and that which was accepted downstream. */
  through: number
  accepted: number
}

interface Gave {
  readonly epoch: number
  readonly left: number | undefined
}

export class InstanceModel implements Owner {
  readonly id: string
  readonly owns = new Map<number, Owned>()
  readonly #runner: Host
  /** Of its producer: that of its start. */
  readonly #producerEpoch: number
  #state: InstanceReport['state'] = 'starting'
  #epoch: number
  #version = 0
  #swap: SwapReport | undefined
  #canary: CanaryReport | undefined
  #giving: readonly Giving[] = []
  #awaited: readonly Awaited[] = []
  readonly #gave = new Map<number, Gave>()
  /** Outputs and fences on their way to the sink, in order. */
  #sinkMs = 0
  #held: (() => void)[] = []
  #ended = false

  constructor({ runner, id, epoch }: { runner: Host; id: string; epoch: number }) {
    this.#runner = runner
    this.id = id
    this.#epoch = epoch
    this.#producerEpoch = epoch
  }

  get name(): string {
    return `${this.id} of ${this.#runner.taskId}`
  }

  get functionName(): string {
    return this.id.slice(0, this.id.lastIndexOf('-'))
  }

  get index(): number {
    return Number(this.id.slice(this.id.lastIndexOf('-') + 1))
  }

  get version(): number {
    return this.#version
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** At which it was started. */
  get firstEpoch(): number {
    return this.#producerEpoch
  }

  start(assignment: InstanceAssignment, said: Said): void {
    this.#state = 'running'
    this.#version = said.version
    this.#toSink(() => this.#plane.fence(this.functionName, this.index, this.#producerEpoch))
    this.assign(assignment, said)
  }

  assign(assignment: InstanceAssignment, said: Said): void {
    if (this.#state !== 'running') return
    this.#epoch = assignment.epoch
    const { giving = [], awaited = [], fences = [] } = assignment
    this.#giving = giving
    const told = sharesOf(assignment)
    for (const share of this.#gave.keys())
      if (!giving.some((wanted) => wanted.share === share)) this.#gave.delete(share)
    const isFencing = !this.#runner.options.bugs.has('no-fence')
    for (const { index, epoch } of isFencing ? fences : [])
      if (index !== this.index) this.#toSink(() => this.#plane.fence(this.functionName, index, epoch))
    const named = new Set([...told, ...[...giving, ...awaited].map(({ share }) => share)])
    for (const share of [...this.owns.keys()]) if (!named.has(share)) this.owns.delete(share)
    for (const share of told) if (!this.owns.has(share)) this.#own(share, assignment.epoch, undefined)
    this.#awaited = awaited.filter(({ share }) => !this.owns.has(share))
    for (const promise of this.#awaited) this.#ask(promise)
    this.#takeVersion(said.version)
    this.#takeCanary(said.canary)
    this.#runner.options.onChange()
  }

  suspend(): void {
    if (this.#state === 'running') this.#state = 'draining'
  }

  end(): void {
    this.#ended = true
    if (!this.#runner.process.isCut) this.reconnected() // what was published is in NATS's hands, before what others publish later
  }

  /** M1 of moves.ts. */
  answer({ share, epoch }: Ask): AskAnswer {
    if (!this.#giving.some((wanted) => wanted.share === share && wanted.epoch === epoch)) return 'notYet'
    const before = this.#gave.get(share)
    if (before?.epoch === epoch) return { left: before.left }
    const owned = this.owns.get(share)
    if (before !== undefined && owned === undefined) return this.#give(share, epoch, undefined)
    if (owned === undefined) return 'gone'
    const { bugs } = this.#runner.options
    owned.isServed = false
    if (owned.accepted < owned.through && !bugs.has('gives-unaccepted')) return 'notYet'
    // Of one that was never served nobody knows how far it came: whoever takes it asks the sources.
    const through = bugs.has('gives-unaccepted') ? owned.accepted : owned.through
    const left = owned.wasServed ? through : undefined
    if (bugs.has('keeps-what-it-gave')) owned.isServed = true
    else this.owns.delete(share)
    return this.#give(share, epoch, left)
  }

  #give(share: number, epoch: number, left: number | undefined): AskAnswer {
    this.#gave.set(share, { epoch, left })
    this.#runner.options.onChange()
    return { left }
  }

  #own(share: number, epoch: number, left: number | undefined): void {
    this.owns.set(share, { epoch, left, isServed: false, wasServed: false, through: 0, accepted: 0 })
    this.#claim(share)
  }

  /** Says again what it owns, for what was lost; and hears whether somebody else does, at a higher epoch. */
  announce(): void {
    if (this.#state !== 'running' || this.owns.size === 0) return
    this.#toPlane(() => {
      for (const share of [...this.owns.keys()]) this.#claimNow(share)
    })
  }

  #claim(share: number): void {
    this.#toPlane(() => this.#claimNow(share))
  }

  #claimNow(share: number): void {
    const owned = this.owns.get(share)
    if (owned === undefined || this.#ended) return
    const begins = this.#plane.claim(this.functionName, share, owned.epoch, this, owned.left)
    if (begins === undefined) {
      this.#runner.process.after(1, () => {
        if (!this.#ended) this.#runner.end('superseded', `${this.functionName}/${share}`, this.id)
      })
      return
    }
    if (owned.isServed || this.#giving.some((wanted) => wanted.share === share)) return
    owned.isServed = owned.wasServed = true
    owned.through = Math.max(owned.through, begins)
    owned.accepted = Math.max(owned.accepted, begins)
  }

  receive(_function: string, share: number, sequence: number): void {
    const { process, options } = this.#runner
    const { random, bus } = options
    const owned = this.owns.get(share)
    if (process.isCut || owned === undefined) return
    process.after(random.delayMs(bus.network.busMs) + random.delayMs(workMs), () => {
      // What it had in hand when it gave the share away is gone, although it may have the share again.
      if (this.owns.get(share) === owned) this.#process(share, sequence, owned)
    })
  }

  #process(share: number, sequence: number, owned: Owned): void {
    if (this.#ended || this.#state !== 'running' || !owned.isServed) return
    if (sequence !== owned.through + 1) return
    owned.through = sequence
    const { epoch: shareEpoch } = owned
    this.#toSink(() => {
      const slot = { index: this.index, epoch: this.#producerEpoch }
      const isAccepted = this.#plane.accept({
        function: this.functionName,
        share,
        sequence,
        shareEpoch,
        ...slot,
      })
      if (isAccepted) owned.accepted = Math.max(owned.accepted, sequence)
    })
  }

  #ask(promise: Awaited): void {
    if (this.#ended || !this.#awaited.includes(promise)) return
    const { bus, find } = this.#runner.options
    const { share, epoch, task, instance } = promise
    const giver = find(task)
    const { process } = this.#runner
    if (giver !== undefined)
      bus.send(process, giver.process, () => {
        const answer = giver.ask({ instance, share, epoch })
        bus.send(giver.process, process, () => this.#answered(promise, answer))
      })
    process.after(askAgainMs, () => this.#ask(promise))
  }

  #answered(promise: Awaited, answer: AskAnswer): void {
    if (answer === 'notYet' || this.#ended || !this.#awaited.includes(promise)) return
    this.#awaited = this.#awaited.filter((other) => other !== promise)
    this.#own(promise.share, promise.epoch, answer === 'gone' ? undefined : answer.left)
    this.#runner.changed()
  }

  #takeVersion(version: number): void {
    if (version === this.#version) {
      this.#swap = undefined
      return
    }
    if (this.#swap?.version === version) return
    const swap: SwapReport = { version, state: 'preparing' }
    this.#swap = swap
    this.#runner.process.after(this.#runner.options.random.delayMs(swapMs), () => {
      if (this.#swap !== swap || this.#ended) return
      if (this.#runner.options.swapFails()) this.#swap = { version, state: 'failed', reason: 'boom' }
      else {
        this.#version = version
        this.#swap = undefined
      }
      this.#runner.changed()
    })
  }

  /** What is measured is of one step; a canary that is at work goes on with the next. */
  #takeCanary(given: CanaryAssignment | undefined): void {
    const before = this.#canary
    if (given === undefined) this.#canary = undefined
    if (given === undefined || (before?.version === given.version && before.step === given.step)) return
    const canary = measured(given, 'preparing')
    this.#canary = canary
    const { process, options } = this.#runner
    process.after(options.random.delayMs(swapMs), () => {
      if (this.#canary !== canary || this.#ended) return
      this.#canary = options.swapFails()
        ? { ...canary, state: 'failed', reason: 'boom' }
        : measured(given, 'working', options.bugs)
      this.#runner.changed()
    })
  }

  report(): InstanceReport {
    const nothing = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
    const usage = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0, outputs: [], inputs: [] }
    return {
      ...{
        id: this.id,
        function: this.functionName,
        index: this.index,
        epoch: this.#epoch,
        state: this.#state,
      },
      ...{ version: this.#version, ...nothing, ...usage },
      ...(this.#swap && { swap: this.#swap }),
      ...(this.#canary && { canary: this.#canary }),
      ...(this.#awaited.length > 0 && { awaited: this.#awaited.map(({ share }) => share) }),
    }
  }

  get #plane() {
    return this.#runner.options.plane
  }

  #toPlane(run: () => void): void {
    const { process, options } = this.#runner
    if (!process.isCut) process.after(options.random.delayMs(options.bus.network.busMs), run)
  }

  /** In order; what cannot be sent now goes when NATS is in reach again, for producers keep what was not accepted. */
  #toSink(run: () => void): void {
    this.#held.push(run)
    const { process, options } = this.#runner
    const nowMs = options.loop.nowMs()
    this.#sinkMs = Math.max(this.#sinkMs, nowMs + options.random.delayMs(options.bus.network.busMs))
    options.loop.after(this.#sinkMs - nowMs, () => {
      if (!process.isCut) this.#flush()
    })
  }

  #flush(): void {
    for (const run of this.#held.splice(0, 1)) run()
  }

  reconnected(): void {
    for (const run of this.#held.splice(0)) run()
  }
}

/** Of the inputs that are not broadcast. */
export function sharesOf({ partitions }: InstanceAssignment): number[] {
  return [
    ...new Set(Object.entries(partitions).flatMap(([stream, shares]) => (stream === 'all' ? [] : shares))),
  ]
}
