/**
 * Types of the test kit: what a test gives and sees.
 * @module
 */
import type { Data, FunctionDefinition } from '../function.ts'
import type { Reaction } from '../runtime/shared/layout.ts'

export interface TestKitOptions {
  /** Where the clock starts. Default: 2020-01-01. */
  readonly nowMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
  /** What `ctx.asset` returns, by name: bytes, or text as UTF-8. */
  readonly assets?: Readonly<Record<string, Data>>
  /** Partitions of each stream. Default 16. */
  readonly partitions?: number
  readonly version?: number
  readonly instance?: number
  /** From which `Math.random` and `crypto` take their numbers: the same seed gives the same ones. A whole number. Default 0. */
  readonly seed?: number
  /** As in the manifest. Default 4 MiB. */
  readonly outputBytesPerRecord?: number
}

export interface DeployOptions {
  /**
   * Keep the version on trial, so that it can be rolled back: state that it migrates is also kept in the earlier
   * format until `promote`. Default: false, it is promoted at once.
   */
  readonly onTrial?: boolean
}

export interface SendOptions {
  /** Event time. Default: the clock's. */
  readonly timeMs?: number
  /** Default: by the hash of the key. */
  readonly partition?: number
}

/** Bytes, with the ways to look at them. */
export interface Seen {
  readonly partition: number
  readonly value: Uint8Array
  text(): string
  json<T = unknown>(): T
}

export interface Output extends Seen {
  readonly stream: string
  /** The key as text. */
  readonly key: string
  readonly keyBytes: Uint8Array
  readonly timeMs: number
}

export interface SeenTimer {
  readonly partition: number
  readonly key: string
  readonly timeMs: number
}

/** What the error policy did about a callback that threw. */
export interface SeenError {
  /** What was thrown. */
  readonly error: unknown
  readonly reaction: Reaction
  readonly attempts: number
}

export interface TestKit {
  /**
   * Gives the function a record.
   * @throws What the callback threw, under the policy `fail`.
   */
  send(stream: string, key: Data, value: Data, options?: SendOptions): this
  /** Moves the clock on; timers that fall due on the way are called, each at its time. */
  advance(ms: number): this
  /** The clock. */
  nowMs(): number
  /** What was produced since the start, to one stream or to all, in the order produced. */
  outputs(stream?: string): Output[]
  /** The state under a key, as stored: it is not migrated. If several partitions have the key, name one. */
  state(key: Data, partition?: number): Seen | undefined
  /** The timers that are set, earliest first. */
  timers(): SeenTimer[]
  errors(): SeenError[]
  /** What was counted under a name with `ctx.metrics.count`: the sum; 0 if nothing was. */
  counted(name: string): number
  /** The values that were given to `ctx.metrics.observe` under a name, in their order. */
  observed(name: string): number[]
  /**
   * Waits until no callback is pending.
   * @throws What an asynchronous callback rejected with, under the policy `fail`.
   */
  settled(): Promise<void>
  /** Ends the instance (`destroy`) and starts another (`init`), of new code if given; state and timers live on. */
  restart(definition?: FunctionDefinition): this
  /**
   * Deploys another version, numbered one higher, which takes over state and timers. If it has a `migrate`, state is
   * migrated when it is used; once promoted, some of the rest is migrated at the end of each batch.
   */
  deploy(definition: FunctionDefinition, options?: DeployOptions): this
  /** Ends the trial of the deployed version: it has passed. */
  promote(): this
  /**
   * Ends the trial: it has failed. The version before returns, with its state as it was when the other one first used
   * it.
   */
  rollback(): this
  /** Calls `destroy`. */
  stop(): this
}
