/**
 * Engine: the scheduler's interface to a cluster, in general terms: offers, tasks, agents.
 *
 * A driver (scheduler/mesos) implements it; nothing else knows the cluster's protocol.
 *
 * Invariants that a driver keeps:
 *   E1. Offers end with a `disconnected` event: none from before it may be used afterwards.
 *   E2. Calls reach the cluster in the order in which they were made, or not at all.
 *   E3. After each `connected`, the state of every task in `knownTasks()` is requested until it is answered.
 *   E4. The cluster repeats an update until it is acknowledged; acknowledge it once its effects are stored.
 * @module
 */

export interface Resources {
  readonly cpus: number
  readonly memMib: number
  readonly diskMib: number
  /** The number of ports; absent: none. The driver chooses which. */
  readonly ports?: number | undefined
}

/** The free resources of one agent. */
export interface Offer {
  readonly id: string
  readonly agentId: string
  readonly hostname: string
  readonly resources: Resources
  /** The agent's attributes, such as its zone and rack. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Offers of one launch must have the same agent and pool. */
  readonly pool?: string
}

export interface Command {
  /** Path of the program; no shell. */
  readonly value: string
  /** argv, from argv[1] on. */
  readonly arguments: readonly string[]
  /** If ports were requested, the driver adds CONCORD_PORTS: their numbers, separated by commas. */
  readonly environment: Readonly<Record<string, string>>
  /** An archive that is fetched and unpacked into the working folder before the program starts. */
  readonly archiveUrl?: string
}

export interface TaskRef {
  readonly taskId: string
  readonly agentId?: string
}

export interface LaunchOrder {
  readonly taskId: string
  readonly name: string
  readonly agentId: string
  readonly resources: Resources
  readonly command: Command
  /** From the first signal to SIGKILL, when the task is killed. */
  readonly killGraceMs: number
}

/**
 * - `pending` known, not running yet; `running` its process lives (it may be ending)
 * - `exited` its process has ended; `dropped` it was never started, through nobody's fault (a stale offer);
 *   `notStarted` its agent failed to start it
 * - `refused` it can never be started as requested
 * - `lost` the cluster has given it up, mostly with its agent: how it ended is unknown, and it may still live and
 *   return
 * - `unsure` the cluster does not know it: it may run, and be reported later
 */
export type TaskCondition =
  | 'pending'
  | 'running'
  | 'exited'
  | 'dropped'
  | 'notStarted'
  | 'refused'
  | 'lost'
  | 'unsure'

export interface TaskUpdate extends TaskRef {
  readonly condition: TaskCondition
  /** The exit status if known; 128 + n for signal n. */
  readonly exitCode?: number
  /** Set if the cluster ended it for using too much. */
  readonly exceeded?: 'memory' | 'disk'
  /** Set if the cluster ended it because its agent is being drained, for maintenance. */
  readonly agentDrains?: true
  readonly message: string
  /** Present if the cluster waits for an acknowledgement; only the driver understands it. */
  readonly receipt?: string
}

export type EngineEvent =
  | { readonly kind: 'connected'; readonly frameworkId: string }
  | { readonly kind: 'disconnected'; readonly why: string }
  | { readonly kind: 'offers'; readonly offers: readonly Offer[] }
  | { readonly kind: 'rescinded'; readonly offerId: string }
  | { readonly kind: 'task'; readonly update: TaskUpdate }

export interface EngineListener {
  /** Called for each event, in order. A rejection ends the engine, and is passed to `failed`. */
  event(event: EngineEvent): void
  /** All tasks believed to be alive, whose state is requested after each connection. */
  knownTasks(): readonly TaskRef[]
  /** The engine cannot continue: wrong credentials, or a refusal that repetition does not cure. */
  failed(error: Error): void
}

export interface Engine {
  start(listener: EngineListener): void
  /** Starts tasks on offers, all of one agent and one pool; the rest of the offers is returned. */
  launch(offerIds: readonly string[], orders: readonly LaunchOrder[]): void
  decline(offerIds: readonly string[]): void
  kill(task: TaskRef, graceMs: number): void
  acknowledge(update: TaskUpdate): void
  /** Requests the state of tasks. */
  reconcile(tasks: readonly TaskRef[]): void
  /** Asks for offers, including declined ones; or for none, until further notice. */
  wantOffers(wanted: boolean): void
  /** Disconnects; tasks continue. */
  close(): Promise<void>
}
