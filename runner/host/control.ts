/**
 * Control: the runner's side of the control plane: commands in, heartbeats and log lines out.
 *
 * Invariant: a command of a leader's epoch below the highest heard is refused, and so is an old generation.
 * @module
 */
import type { Msg } from '@nats-io/transport-node'
import { listen, type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import {
  decodeCommand,
  decodeGateAsk,
  decodeGone,
  decodeStateAsk,
  decodeTimersAsk,
  encodeGate,
  encodeState,
  encodeTimers,
  type GateAnswer,
  type GateAsk,
  type StateAnswer,
  type StateAsk,
  splitHeartbeat,
  type TimersAnswer,
  type TimersAsk,
} from '../../infra/control/index.ts'
import type { GoneProducer } from '../../infra/control/messages/accounts.ts'
import type { Assignment, TaskReply } from '../../infra/control/messages/assignment.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { LogLine } from '../../sdk/api/index.ts'
import type { RunnerErrorCode } from '../errors.ts'
import { decodeAnswer, decodeAsk, encodeAnswer, encodeAsk, type MovedState } from '../handover/message.ts'
import type { MoveAnswer, MoveAsk } from '../handover/moves.ts'

/** Longer than the other runner holds a request. */
const askTimeoutMs = 1_000
const heartbeatEveryMs = 1000
/** The least time between two heartbeats sent because of changes, and because of callbacks that failed, which may be thousands a second. */
const heartbeatLeastMs = 50
const failedLeastMs = 500

export interface ControlOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly taskId: string
  readonly clock: Clock
  /** Makes a heartbeat of the present state. */
  readonly beat: () => Heartbeat
  readonly onAssign: (assignment: Assignment) => void
  /** Handles another runner's request for a share; undefined: the instance does not work here. */
  readonly onAsk: (ask: MoveAsk) => Promise<MoveAnswer<MovedState>> | undefined
  /** Returns the tap of an instance, or the reason why there is none. */
  readonly onTap: (instance: string) => Uint8Array
  /** The scheduler asks how far killed producers have come. */
  readonly onGone: (gone: readonly GoneProducer[]) => void
  /** Sets timers again; undefined: the instance does not work here. */
  readonly onTimers: (ask: TimersAsk) => Promise<void> | undefined
  /** Reads state; undefined: the instance does not work here. */
  readonly onState: (ask: StateAsk) => Promise<StateAnswer> | undefined
  /** Judges a version beside an instance. */
  readonly onGate: (ask: GateAsk) => Promise<GateAnswer>
}

export class Control {
  readonly #options: ControlOptions
  #leaderEpoch = 0
  #generation = 0
  #cancel: () => void
  #beatMs = Number.NEGATIVE_INFINITY
  /** When the next one is due. */
  #dueMs: number

  constructor(options: ControlOptions) {
    this.#options = options
    const { nc, namespace, taskId, clock } = options
    listen(nc, subjects.taskSubject(namespace, taskId), (message) => this.#onCommand(message))
    listen(nc, subjects.moveSubject(namespace, taskId), (message) => void this.#onAsk(message))
    listen(nc, subjects.goneSubject(namespace), ({ data }) => {
      const gone = decodeGone(data)
      if (gone !== undefined) options.onGone(gone)
    })
    listen(nc, subjects.tapSubject(namespace, taskId), (message) =>
      message.respond(options.onTap(message.string())),
    )
    listen(nc, subjects.gateSubject(namespace, taskId), (message) => void this.#onGate(message))
    listen(nc, subjects.timersSubject(namespace, taskId), (message) => void this.#onTimers(message))
    listen(nc, subjects.stateSubject(namespace, taskId), (message) => void this.#onState(message))
    this.#dueMs = clock.monotonicMs()
    this.#cancel = clock.after(0, () => this.beat())
  }

  /** Asks another runner for a share. @throws if it does not answer. */
  async ask(task: string, ask: MoveAsk): Promise<MoveAnswer<MovedState>> {
    const { nc, namespace } = this.#options
    const subject = subjects.moveSubject(namespace, task)
    const { data } = await nc.request(subject, encodeAsk(ask), { timeout: askTimeoutMs })
    return decodeAnswer(data)
  }

  /** Publishes a heartbeat now, and each second from now on. */
  beat(): void {
    const { nc, namespace, taskId, clock } = this.#options
    this.#cancel()
    this.#beatMs = clock.monotonicMs()
    this.#dueMs = this.#beatMs + heartbeatEveryMs
    this.#cancel = clock.after(heartbeatEveryMs, () => this.beat())
    if (nc.isClosed()) return
    for (const part of splitHeartbeat(this.#options.beat()))
      nc.publish(subjects.heartbeatSubject(namespace, taskId), part)
  }

  /** Sends a heartbeat soon; several changes share one. */
  changed(): void {
    this.#beatWithin(heartbeatLeastMs)
  }

  /** A callback failed: the same, but not as soon. */
  failed(): void {
    this.#beatWithin(failedLeastMs)
  }

  /** @param ms Since the last one. Called for each failure: where one is due by then, it costs next to nothing. */
  #beatWithin(ms: number): void {
    const { clock } = this.#options
    if (this.#dueMs <= this.#beatMs + ms) return
    const nowMs = clock.monotonicMs()
    this.#dueMs = Math.max(nowMs, this.#beatMs + ms)
    this.#cancel()
    this.#cancel = clock.after(this.#dueMs - nowMs, () => this.beat())
  }

  /** Publishes a line of a function's log. */
  log(line: LogLine): void {
    const { nc, namespace } = this.#options
    if (!nc.isClosed()) nc.publish(subjects.logSubject(namespace, line.function), JSON.stringify(line))
  }

  /** Sends the last heartbeat. */
  end(): void {
    this.beat()
    this.#cancel()
  }

  async #onAsk(message: Msg): Promise<void> {
    const ask = decodeAsk(message.data)
    if (ask === undefined) return
    const answer = await this.#options.onAsk(ask)
    message.respond(encodeAnswer(answer ?? { ok: false, code: 'ERR_MOVE_NOT_YET' }))
  }

  async #onGate(message: Msg): Promise<void> {
    const ask = decodeGateAsk(message.data)
    const answer: GateAnswer =
      ask === undefined
        ? { ok: false, message: 'its runner cannot read what it is to judge' }
        : await this.#options.onGate(ask)
    message.respond(encodeGate(answer))
  }

  async #onTimers(message: Msg): Promise<void> {
    const ask = decodeTimersAsk(message.data)
    const answer: TimersAnswer =
      ask === undefined
        ? { ok: false, message: 'its runner cannot read what it is to set' }
        : await this.#setTimers(ask)
    message.respond(encodeTimers(answer))
  }

  async #setTimers(ask: TimersAsk): Promise<TimersAnswer> {
    try {
      const setting = this.#options.onTimers(ask)
      if (setting === undefined) return { ok: false, message: `${ask.instance} is not at work there` }
      await setting
      return { ok: true }
    } catch (error) {
      return { ok: false, message: (error as Error).message }
    }
  }

  async #onState(message: Msg): Promise<void> {
    const ask = decodeStateAsk(message.data)
    const answer: StateAnswer =
      ask === undefined
        ? { ok: false, message: 'its runner cannot read what is asked' }
        : await this.#readState(ask)
    message.respond(encodeState(answer))
  }

  async #readState(ask: StateAsk): Promise<StateAnswer> {
    try {
      const reading = this.#options.onState(ask)
      return (await reading) ?? { ok: false, message: `${ask.instance} is not at work there` }
    } catch (error) {
      return { ok: false, message: (error as Error).message }
    }
  }

  #onCommand(message: Msg): void {
    message.respond(JSON.stringify(this.#obey(message)))
  }

  #obey(message: Msg): TaskReply {
    const command = decodeCommand(message.data)
    if (command === undefined)
      return refusal('ERR_COMMAND_MALFORMED', 'Cannot read the command: expected { kind, leaderEpoch, … }')
    if (command.leaderEpoch < this.#leaderEpoch) {
      return refusal(
        'ERR_COMMAND_STALE',
        `Cannot obey a leader of epoch ${command.leaderEpoch}: ${this.#leaderEpoch} has spoken`,
      )
    }
    this.#leaderEpoch = command.leaderEpoch
    const { assignment } = command
    if (assignment.taskId !== this.#options.taskId) {
      return refusal(
        'ERR_COMMAND_MALFORMED',
        `Cannot take an assignment for task ${assignment.taskId}: this is ${this.#options.taskId}`,
      )
    }
    if (assignment.generation <= this.#generation) return { ok: true }
    this.#generation = assignment.generation
    this.#options.onAssign(assignment)
    return { ok: true }
  }
}

function refusal(code: RunnerErrorCode, message: string): TaskReply {
  return { ok: false, code, message }
}
