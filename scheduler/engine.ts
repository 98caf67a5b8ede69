/**
 * Engine: what the scheduler needs of a cluster, in the cluster's plainest words: offers, tasks, agents.
 *
 * A driver (scheduler/mesos) implements it; nothing else knows how the cluster speaks.
 *
 * Invariants a driver keeps:
 *  E1. Offers die with a `disconnected` event: none from before may be used after it.
 *  E2. Calls reach the cluster in the order in which they were made, or not at all.
 *  E3. After each `connected` the state of every task in `knownTasks()` is asked for until it is answered.
 *  E4. An update is repeated by the cluster until it is acknowledged; acknowledge it once its effects are stored.
 * @module
 */

export interface Resources {
  readonly cpus: number
  readonly memMib: number
  readonly diskMib: number
  /** How many; absent: none. Which ones is for the driver to choose. */
  readonly ports?: number | undefined
}

/** What one agent has to give now. */
export interface Offer {
  readonly id: string
  readonly agentId: string
  readonly hostname: string
  readonly resources: Resources
  /** What the cluster says of the agent: its zone, its rack. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Offers of one launch are of one agent and one pool. */
  readonly pool?: string
}

export interface Command {
  /** Path of the program; no shell. */
  readonly value: string
  /** argv, from argv[1] on. */
  readonly arguments: readonly string[]
  /** The driver adds CONCORD_PORTS, where ports were asked for: their numbers, separated by commas. */
  readonly environment: Readonly<Record<string, string>>
  /** An archive that is fetched and unpacked where the program is started, before that. */
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
  /** From the polite signal to SIGKILL, when it is killed. */
  readonly killGraceMs: number
}

/**
 * - `pending` known, not yet running; `running` its process lives (it may be ending)
 * - `exited` its process has ended; `dropped` it was never started, and nobody is to blame (a stale offer)
 * - `refused` it can never be started as it was asked for
 * - `lost` the cluster has given it up, mostly with its agent: how it ended nobody knows, and it may even live and come back
 * - `unsure` the cluster does not know it: it may run, and may be told of again
 */
export type TaskCondition = 'pending' | 'running' | 'exited' | 'dropped' | 'refused' | 'lost' | 'unsure'

export interface TaskUpdate extends TaskRef {
  readonly condition: TaskCondition
  /** Where known: the exit status, 128 + n for signal n. */
  readonly exitCode?: number
  /** Where the cluster ended it because it used too much of something. */
  readonly exceeded?: 'memory' | 'disk'
  readonly message: string
  /** Present if the cluster waits for an acknowledgement; understood by the driver alone. */
  readonly receipt?: string
}

export type EngineEvent =
  | { readonly kind: 'connected'; readonly frameworkId: string }
  | { readonly kind: 'disconnected'; readonly why: string }
  | { readonly kind: 'offers'; readonly offers: readonly Offer[] }
  | { readonly kind: 'rescinded'; readonly offerId: string }
  | { readonly kind: 'task'; readonly update: TaskUpdate }

export interface EngineListener {
  /** Called for each event, in order. A rejection ends the engine: it is passed to `failed`. */
  event(event: EngineEvent): void
  /** All tasks thought alive, to be asked for after each connection. */
  knownTasks(): readonly TaskRef[]
  /** The engine cannot go on: a wrong credential, a refusal that no repetition heals. */
  failed(error: Error): void
}

export interface Engine {
  start(listener: EngineListener): void
  /** Takes offers, all of one agent and one pool, and starts tasks on them; what is left of them goes back. */
  launch(offerIds: readonly string[], orders: readonly LaunchOrder[]): void
  decline(offerIds: readonly string[]): void
  kill(task: TaskRef, graceMs: number): void
  acknowledge(update: TaskUpdate): void
  /** Asks for the state of these. */
  reconcile(tasks: readonly TaskRef[]): void
  /** Offers are wanted, also those declined before; or none are, until further notice. */
  wantOffers(wanted: boolean): void
  /** Leaves the cluster's side as it is: tasks go on. */
  close(): Promise<void>
}
