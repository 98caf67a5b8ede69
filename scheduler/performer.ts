/**
 * Performer: carries out the core's actions in order; each write to the store completes before the next action.
 *
 *   F1. A task is in the store before it is launched; the effects of an update are in the store before it is
 *       acknowledged.
 *   F2. Statuses that are not urgent are written at most every `statusDelayMs`, each only in its newest form.
 *   F3. An action that fails ends the scheduler: the next one starts from what is in the store.
 * @module
 */
import type { NatsConnection } from '../infra/bus/index.ts'
import { subjects } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import { encodeCommand, encodeGone, killGraceMs } from '../infra/control/index.ts'
import type { Assignment, TaskCommand, TaskReply } from '../infra/control/messages/assignment.ts'
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
  withoutRollout,
} from '../infra/store/index.ts'
import type { LogLine } from '../sdk/api/index.ts'
import { assertNever, isCode } from '../sdk/errors.ts'
import type { Action, Launch } from './core/index.ts'
import type { Engine, LaunchOrder } from './engine.ts'
import type { StatusWriter } from './status-writer.ts'
import type { Writer } from './writer.ts'

const statusDelayMs = 200
const assignTimeoutMs = 2_000
/** Ids of finished commands kept with a function: more than can exist at once. */
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
  /** By task: the generation of the assignment being sent. */
  readonly #telling = new Map<string, number>()

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  perform(actions: readonly Action[]): void {
    for (const action of actions) this.enqueue(() => this.#perform(action))
  }

  /** Runs after all earlier work. */
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

  /**
   * Sets the wanted instances of a function from `from` to `to`, unless the count has changed meanwhile or a person
   * has pinned it.
   */
  scale(name: string, from: number, to: number): void {
    this.enqueue(() =>
      this.#change(name, (document) => {
        const { instances, pinned, deleted } = document
        return instances !== from || pinned || deleted ? undefined : { ...document, instances: to }
      }),
    )
  }

  /** Stores the reasons for a function's scaling. */
  saveScaling(name: string, document: ScalingDocument): void {
    const { writer, namespace } = this.#options
    this.enqueue(() => writer.put(paths.scaling(namespace, name), document))
  }

  /** Writes what is pending. */
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
      // It has too many consumers: the platform continues, but the stored status of this function stays old.
      if (!isCode(error, 'ERR_STORE_TOO_LARGE')) throw error
      this.#options.log.error({ error: (error as Error).message }, 'a status is too large to be written')
    }
  }

  /** Lowers the count of instances once for each command, however often it is called. */
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

  /**
   * Changes a function's document, starting from its stored form.
   * @param to Returns undefined if there is nothing to change.
   */
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
        if (!isCode(error, 'ERR_STORE_CONFLICT', 'ERR_STORE_NOT_FOUND')) throw error
      }
    }
  }

  /** Writes the outcome first: whoever sees that the function was rolled back can then read why. */
  async #settleVersion(action: ActionOf<'settleVersion'>): Promise<void> {
    const { function: name, good, outcome, formatsBefore } = action
    await this.#saveOutcome(name, outcome)
    await this.#change(name, (document) =>
      document.version === outcome.version && (document.good !== good || document.version !== good)
        ? { ...withoutRollout(document), version: good, good, ...(formatsBefore && { formatsBefore }) }
        : undefined,
    )
  }

  /**
   * Writes an outcome. Gateways write outcomes too: what one has said about a version that ran and is no longer
   * wanted stands.
   */
  async #saveOutcome(name: string, outcome: OutcomeDocument): Promise<void> {
    const { namespace, store } = this.#options
    const { version, state } = outcome
    await upsert<OutcomeDocument>(store, paths.outcome(namespace, name, version), async (before) => {
      const wanted = await store.get<FunctionDocument>(paths.function(namespace, name))
      const isLeft = state === 'live' && before !== undefined && wanted?.value.version !== version
      return isLeft ? before : outcomeAfter(before, outcome)
    })
  }

  /**
   * Removes everything of a deleted function, its own document last: if a gateway has deployed it again meanwhile,
   * that wins.
   */
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

  async #removeFollower({ stream, follower, renewedAtMs }: ActionOf<'removeFollower'>): Promise<void> {
    const path = paths.follower(this.#options.namespace, stream, follower)
    const found = await this.#options.store.get<FollowerDocument>(path)
    if (found?.value.renewedAtMs === renewedAtMs) await this.#removeQuietly(path, found.version)
  }

  async #removeQuietly(path: string, version?: number): Promise<void> {
    try {
      await this.#options.store.remove(path, version)
    } catch (error) {
      if (!isCode(error, 'ERR_STORE_NOT_FOUND', 'ERR_STORE_CONFLICT')) throw error
    }
  }

  /** Copies a message about an instance to its function's log. */
  #tellFunction({ level, about }: ActionOf<'log'>): void {
    const { nc, namespace, clock } = this.#options
    if (about === undefined || nc.isClosed()) return
    const { said, ...of } = about
    const line: LogLine = { timeMs: clock.nowMs(), level, ...of, message: said }
    nc.publish(subjects.logSubject(namespace, of.function), JSON.stringify(line))
  }

  /**
   * Sends a runner its assignment. If the runner does not answer, its next heartbeat shows that it has to be sent
   * again.
   */
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
