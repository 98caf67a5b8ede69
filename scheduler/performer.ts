/**
 * Performer: carries out the core's actions, in their order, each store write done before what follows it.
 *
 *  F1. A task is written down before it is launched; an update's effects are written down before it is acknowledged.
 *  F2. Statuses that are not urgent are written at most every `statusDelayMs`, and of each only the newest.
 *  F3. What cannot be carried out ends the scheduler: the next one begins with what is in the store.
 * @module
 */
import type { NatsConnection } from '../infra/bus/index.ts'
import { subjects } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import { encodeCommand, encodeGone } from '../infra/control/index.ts'
import type { Assignment, TaskCommand, TaskReply } from '../infra/control/messages.ts'
import type { Log } from '../infra/log.ts'
import {
  type EpochDocument,
  type FollowerDocument,
  type FunctionDocument,
  type OutcomeDocument,
  outcomeAfter,
  paths,
  type ScalingDocument,
  type StatusDocument,
  type Store,
  upsert,
} from '../infra/store/index.ts'
import type { LogLine } from '../sdk/api/index.ts'
import { assertNever, isCode } from '../sdk/errors.ts'
import type { Action, Launch } from './core/index.ts'
import type { Engine, LaunchOrder } from './engine.ts'
import type { StatusWriter } from './status-writer.ts'
import type { Writer } from './writer.ts'

const killGraceMs = 10_000
const statusDelayMs = 200
const assignTimeoutMs = 2_000
/** Ids of done commands kept with a function: more than there can be at once. */
const appliedMax = 64

export interface PerformerOptions {
  readonly namespace: string
  readonly store: Store
  readonly writer: Writer
  readonly statuses: StatusWriter
  readonly engine: Engine
  readonly nc: NatsConnection
  readonly clock: Clock
  readonly log: Log
  /** How a launch becomes a task of the cluster. */
  readonly orderOf: (launch: Launch, killGraceMs: number) => LaunchOrder
  readonly failed: (error: Error) => void
}

export class Performer {
  readonly #options: PerformerOptions
  #queue: Promise<void> = Promise.resolve()
  #stopped = false
  readonly #statuses = new Map<string, StatusDocument>()
  #cancelFlush: (() => void) | undefined
  #flushedAtMs = Number.NEGATIVE_INFINITY
  /** Generations being told, by task. */
  readonly #telling = new Map<string, number>()

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  perform(actions: readonly Action[]): void {
    for (const action of actions) this.enqueue(() => this.#perform(action))
  }

  /** Runs after all that was to be done before. */
  enqueue(work: () => Promise<void> | void): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#stopped) return
      try {
        await work()
      } catch (error) {
        this.#stopped = true
        this.#options.failed(error as Error)
      }
    })
  }

  /** Wants `to` instances of a function, unless something else is wanted by then, or a person has pinned it. */
  scale(name: string, from: number, to: number): void {
    this.enqueue(() =>
      this.#change(name, (document) => {
        const { instances, pinned, deleted } = document
        return instances !== from || pinned || deleted ? undefined : { ...document, instances: to }
      }),
    )
  }

  /** Writes down why a function is scaled. */
  saveScaling(name: string, document: ScalingDocument): void {
    const { writer, namespace } = this.#options
    this.enqueue(() => writer.put(paths.scaling(namespace, name), document))
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    this.#flushStatuses()
    await this.#queue
    this.#stopped = true
  }

  async #perform(action: Action): Promise<void> {
    const { engine, writer, namespace, nc } = this.#options
    switch (action.kind) {
      case 'saveEpoch':
        return writer.put(paths.epoch(namespace, action.function), epochDocument(action.epoch))
      case 'createTask':
        return writer.put(paths.task(action.document.taskId), action.document)
      case 'createSeat':
      case 'updateSeat':
        return writer.put(paths.seat(namespace, action.document.instance), action.document)
      case 'removeSeat':
        return writer.remove(paths.seat(namespace, action.instance))
      case 'removeTask':
        this.#telling.delete(action.taskId)
        return writer.remove(paths.task(action.taskId))
      case 'saveStatus':
        return action.urgent ? this.#saveStatus(action.document) : this.#saveStatusSoon(action.document)
      case 'lowerInstances':
        return this.#lowerInstances(action.function, action.command)
      case 'settleVersion':
        return this.#settleVersion(action)
      case 'saveCanary':
        return this.#change(action.function, (document) =>
          document.version === action.canary.version ? { ...document, canary: action.canary } : undefined,
        )
      case 'saveShadow':
        return this.#change(action.function, (document) =>
          document.version === action.shadow.version && document.shadow?.version !== action.shadow.version
            ? { ...document, shadow: action.shadow }
            : undefined,
        )
      case 'saveOutcome':
        return this.#saveOutcome(action.function, action.outcome)
      case 'saveRolling':
        return this.#change(action.function, (document) =>
          document.version === action.rolling.version ? { ...document, rolling: action.rolling } : undefined,
        )
      case 'removeCommand':
        return this.#removeQuietly(paths.command(namespace, action.command))
      case 'removeFollower':
        return this.#removeFollower(action)
      case 'removeFunction':
        return this.#removeFunction(action.function, action.versions)
      case 'launch':
        return engine.launch(
          action.offerIds,
          action.launches.map((launch) => this.#options.orderOf(launch, killGraceMs)),
        )
      case 'decline':
        return engine.decline(action.offerIds)
      case 'wantOffers':
        return engine.wantOffers(action.wanted)
      case 'kill':
        return engine.kill(action, action.atOnce ? 0 : killGraceMs)
      case 'reconcile':
        return engine.reconcile([action])
      case 'acknowledge':
        return engine.acknowledge(action.update)
      case 'askReceivers':
        if (!nc.isClosed()) nc.publish(subjects.goneSubject(namespace), encodeGone(action.gone))
        return
      case 'assign':
        return void this.#assign(action.assignment, action.leaderEpoch)
      case 'log':
        this.#options.log[action.level]({ task: action.task }, action.message)
        return this.#tellFunction(action)
      default:
        return assertNever(action)
    }
  }

  #saveStatusSoon(document: StatusDocument): void {
    this.#statuses.set(document.function, document)
    const { clock } = this.#options
    const waitMs = Math.max(0, this.#flushedAtMs + statusDelayMs - clock.monotonicMs())
    this.#cancelFlush ??= clock.after(waitMs, () => this.#flushStatuses())
  }

  #flushStatuses(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#flushedAtMs = this.#options.clock.monotonicMs()
    this.enqueue(async () => {
      for (const document of [...this.#statuses.values()]) await this.#saveStatus(document)
    })
  }

  async #saveStatus(document: StatusDocument): Promise<void> {
    this.#statuses.delete(document.function)
    try {
      await this.#options.statuses.write(document)
    } catch (error) {
      // Too many consumers in its accounts: the platform goes on, only its picture of this function stands still.
      if (!isCode(error, 'ERR_STORE_TOO_LARGE')) throw error
      this.#options.log.error({ error: (error as Error).message }, 'a status is too large to be written')
    }
  }

  /** Counts an instance off, once for each command, however often it is asked to. */
  async #lowerInstances(name: string, command: string): Promise<void> {
    await this.#change(name, (document) => {
      const { applied = [], instances } = document
      if (applied.includes(command)) return undefined
      return {
        ...document,
        instances: Math.max(0, instances - 1),
        applied: [...applied, command].slice(-appliedMax),
      }
    })
  }

  /** Changes what is wanted of a function, as it stands when it is written. @param to Undefined: there is nothing to change. */
  async #change(
    name: string,
    to: (document: FunctionDocument) => FunctionDocument | undefined,
  ): Promise<void> {
    const path = paths.function(this.#options.namespace, name)
    for (;;) {
      const found = await this.#options.store.get<FunctionDocument>(path)
      const changed = found && to(found.value)
      if (changed === undefined) return
      try {
        await this.#options.store.update(path, changed, found!.version)
        return
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_CONFLICT') && !isCode(error, 'ERR_STORE_NOT_FOUND')) throw error
      }
    }
  }

  /** The outcome first: who sees that the function has gone back can read why. */
  async #settleVersion({ function: name, good, outcome }: ActionOf<'settleVersion'>): Promise<void> {
    await this.#saveOutcome(name, outcome)
    await this.#change(
      name,
      ({ drain: _, atOnce: __, canary: ___, shadow: ____, rolling: _____, ...document }) =>
        document.version === outcome.version && (document.good !== good || document.version !== good)
          ? { ...document, version: good, good }
          : undefined,
    )
  }

  /** Gateways write there too: what one has said of a version that has run, and is not wanted any more, stands. */
  async #saveOutcome(name: string, outcome: OutcomeDocument): Promise<void> {
    const { namespace, store } = this.#options
    const { version, state } = outcome
    await upsert<OutcomeDocument>(store, paths.outcome(namespace, name, version), async (before) => {
      const wanted = await store.get<FunctionDocument>(paths.function(namespace, name))
      const isLeft = state === 'live' && before !== undefined && wanted?.value.version !== version
      return isLeft ? before : outcomeAfter(before, outcome)
    })
  }

  /** Removes all of a deleted function, itself last: a gateway that has deployed it again in the meantime wins. */
  async #removeFunction(name: string, versions: readonly number[]): Promise<void> {
    const { namespace, store, writer, statuses } = this.#options
    const path = paths.function(namespace, name)
    const found = await store.get<FunctionDocument>(path)
    if (found !== undefined && found.value.deleted !== true) return
    for (const version of versions) await this.#removeQuietly(paths.version(namespace, name, version))
    for (const version of await store.list(paths.outcomes(namespace, name)))
      await this.#removeQuietly(paths.outcome(namespace, name, Number(version)))
    await writer.remove(paths.scaling(namespace, name))
    this.#statuses.delete(name)
    await statuses.remove(name)
    if (found !== undefined) await this.#removeQuietly(path, found.version)
  }

  async #removeFollower({ stream, follower, renewedAtMs }: Extract<Action, { kind: 'removeFollower' }>) {
    const path = paths.follower(this.#options.namespace, stream, follower)
    const found = await this.#options.store.get<FollowerDocument>(path)
    if (found?.value.renewedAtMs === renewedAtMs) await this.#removeQuietly(path, found.version)
  }

  async #removeQuietly(path: string, version?: number): Promise<void> {
    try {
      await this.#options.store.remove(path, version)
    } catch (error) {
      if (!isCode(error, 'ERR_STORE_NOT_FOUND') && !isCode(error, 'ERR_STORE_CONFLICT')) throw error
    }
  }

  /** Who reads a function's log sees there too what became of its instances. */
  #tellFunction({ level, about }: ActionOf<'log'>): void {
    const { nc, namespace, clock } = this.#options
    if (about === undefined || nc.isClosed()) return
    const { said, ...of } = about
    const line: LogLine = { timeMs: clock.nowMs(), level, ...of, message: said }
    nc.publish(subjects.logSubject(namespace, of.function), JSON.stringify(line))
  }

  /** Tells a runner; if it does not answer, its next heartbeat shows that it has to be told again. */
  async #assign(assignment: Assignment, leaderEpoch: number): Promise<void> {
    const { taskId, generation } = assignment
    if (this.#telling.get(taskId) === generation) return
    this.#telling.set(taskId, generation)
    const { nc, namespace, log } = this.#options
    const command: TaskCommand = { kind: 'assign', leaderEpoch, assignment }
    try {
      const subject = subjects.taskSubject(namespace, taskId)
      const answer = await nc.request(subject, encodeCommand(command), { timeout: assignTimeoutMs })
      const reply = answer.json<TaskReply>()
      if (!reply.ok)
        log.warn({ task: taskId, code: reply.code }, `an assignment was refused: ${reply.message}`)
    } catch (error) {
      log.info({ task: taskId, generation }, `an assignment was not answered: ${(error as Error).message}`)
    } finally {
      if (this.#telling.get(taskId) === generation) this.#telling.delete(taskId)
    }
  }
}

type ActionOf<K extends Action['kind']> = Extract<Action, { readonly kind: K }>

function epochDocument(epoch: number): EpochDocument {
  return { schema: 1, epoch }
}
