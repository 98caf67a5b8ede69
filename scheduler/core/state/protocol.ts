/**
 * Protocol: the core's input (events) and output (actions). Actions are carried out in order. A store write completes
 * before the next action begins, so whatever is launched or acknowledged is in the store.
 * @module
 */
import type { AllowanceNotice, GoneProducer } from '../../../infra/control/messages/accounts.ts'
import type { Assignment } from '../../../infra/control/messages/assignment.ts'
import type { Heartbeat } from '../../../infra/control/messages/heartbeat.ts'
import type {
  CanaryDocument,
  OutcomeDocument,
  RollingDocument,
  SeatDocument,
  ShadowDocument,
  StatusDocument,
  TaskDocument,
} from '../../../infra/store/index.ts'
import type { EngineEvent, TaskUpdate } from '../../engine.ts'
import type { Wanted } from './state.ts'

export type Event =
  /** The first event: what an earlier leader has left, and what is wanted now. */
  | {
      readonly kind: 'restored'
      readonly tasks: readonly TaskDocument[]
      readonly seats: readonly SeatDocument[]
      readonly statuses: readonly StatusDocument[]
      readonly epochs: ReadonlyMap<string, number>
      readonly wanted: Wanted
    }
  | { readonly kind: 'wanted'; readonly wanted: Wanted }
  | { readonly kind: 'heartbeat'; readonly heartbeat: Heartbeat }
  | { readonly kind: 'allowance'; readonly notice: AllowanceNotice }
  /** Whether NATS can be reached. */
  | { readonly kind: 'bus'; readonly up: boolean }
  /** Drain everything, and start nothing any more. */
  | { readonly kind: 'empty' }
  /** `state.wakeAtMs` has come. */
  | { readonly kind: 'tick' }
  | EngineEvent

export type Action =
  | { readonly kind: 'saveEpoch'; readonly function: string; readonly epoch: number }
  | { readonly kind: 'createTask'; readonly document: TaskDocument }
  | { readonly kind: 'removeTask'; readonly taskId: string }
  | { readonly kind: 'createSeat'; readonly document: SeatDocument }
  | { readonly kind: 'updateSeat'; readonly document: SeatDocument }
  | { readonly kind: 'removeSeat'; readonly instance: string }
  /** `urgent`: written before the next action. Otherwise written soon, and only the newest. */
  | { readonly kind: 'saveStatus'; readonly document: StatusDocument; readonly urgent: boolean }
  | { readonly kind: 'lowerInstances'; readonly function: string; readonly command: string }
  /**
   * The outcome of the wanted version, and the good version, which is wanted from now on. No effect if another
   * version was deployed meanwhile.
   */
  | {
      readonly kind: 'settleVersion'
      readonly function: string
      readonly good: number
      /** The function's, if the good version has another format than the one before. */
      readonly formatsBefore?: readonly number[]
      readonly outcome: OutcomeDocument
    }
  /** The step of a canary. No effect if another version was deployed meanwhile. */
  | { readonly kind: 'saveCanary'; readonly function: string; readonly canary: CanaryDocument }
  /** The beginning of a shadow. No effect if another version was deployed meanwhile. */
  | { readonly kind: 'saveShadow'; readonly function: string; readonly shadow: ShadowDocument }
  /** The findings about a version that is no longer wanted, or not as it was. */
  | { readonly kind: 'saveOutcome'; readonly function: string; readonly outcome: OutcomeDocument }
  /** The instances of a rolling deploy's waves. No effect if another version was deployed meanwhile. */
  | { readonly kind: 'saveRolling'; readonly function: string; readonly rolling: RollingDocument }
  | { readonly kind: 'removeCommand'; readonly command: string }
  | {
      readonly kind: 'removeFollower'
      readonly stream: string
      readonly follower: string
      /** Remove only if not renewed since. */
      readonly renewedAtMs: number
    }
  | { readonly kind: 'removeFunction'; readonly function: string; readonly versions: readonly number[] }
  | { readonly kind: 'launch'; readonly offerIds: readonly string[]; readonly launches: readonly Launch[] }
  | { readonly kind: 'decline'; readonly offerIds: readonly string[] }
  | { readonly kind: 'wantOffers'; readonly wanted: boolean }
  /** `atOnce`: without the time to drain. */
  | { readonly kind: 'kill'; readonly taskId: string; readonly agentId?: string; readonly atOnce?: true }
  | { readonly kind: 'reconcile'; readonly taskId: string; readonly agentId: string }
  | { readonly kind: 'acknowledge'; readonly update: TaskUpdate }
  /** Ask all runners how far they have come with killed producers. */
  | { readonly kind: 'askReceivers'; readonly gone: readonly GoneProducer[] }
  | { readonly kind: 'assign'; readonly assignment: Assignment; readonly leaderEpoch: number }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn'
      readonly message: string
      readonly task?: string
      /** The instance that the message is about; it is then copied to the function's log. */
      readonly about?: AboutInstance
      /** The end of an instance, if that is what the message is about; it is then counted. */
      readonly end?: InstanceEnd
    }

export interface AboutInstance {
  readonly function: string
  readonly instance: string
  readonly version: number
  readonly said: string
}

/** What the end of an instance means for its slot. */
export type Verdict =
  | 'wanted'
  | 'failed'
  | 'nobodysFault'
  /** Its launch came to nothing. */
  | 'neverRan'
  /** So too, but it had been asked to end before: this is no end of the instance, which keeps its last one. */
  | 'calledOff'

export interface InstanceEnd {
  readonly function: string
  /** Such as `functionFailed`, `signal 9` or `lost`. */
  readonly reason: string
  readonly verdict: Verdict
}

export interface Launch {
  readonly document: TaskDocument
  /** The function for which it is launched. */
  readonly function: string
}
