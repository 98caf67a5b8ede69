/**
 * Protocol: what goes into the core (events) and what comes out (actions). Actions are carried out in order; one that
 * writes to the store is done before the next begins, so what is launched or acknowledged has been written down.
 * @module
 */
import type { AllowanceNotice, Assignment, GoneProducer, Heartbeat } from '../../../infra/control/messages.ts'
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
  /** First of all: what an earlier leader has left, and what is wanted now. */
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
  /** NATS is, or is not, in reach. */
  | { readonly kind: 'bus'; readonly up: boolean }
  /** All is to end, in order: from now on nothing is started, and what runs is drained. */
  | { readonly kind: 'empty' }
  /** Time has come to `state.wakeAtMs`. */
  | { readonly kind: 'tick' }
  | EngineEvent

export type Action =
  | { readonly kind: 'saveEpoch'; readonly function: string; readonly epoch: number }
  | { readonly kind: 'createTask'; readonly document: TaskDocument }
  | { readonly kind: 'removeTask'; readonly taskId: string }
  | { readonly kind: 'createSeat'; readonly document: SeatDocument }
  | { readonly kind: 'updateSeat'; readonly document: SeatDocument }
  | { readonly kind: 'removeSeat'; readonly instance: string }
  /** `urgent`: written before the next action; else soon, and only the newest. */
  | { readonly kind: 'saveStatus'; readonly document: StatusDocument; readonly urgent: boolean }
  | { readonly kind: 'lowerInstances'; readonly function: string; readonly command: string }
  /** What became of the wanted version, and which one is good, and wanted, from now on; unless another was deployed meanwhile. */
  | {
      readonly kind: 'settleVersion'
      readonly function: string
      readonly good: number
      readonly outcome: OutcomeDocument
    }
  /** How far a canary has come; unless another version was deployed meanwhile. */
  | { readonly kind: 'saveCanary'; readonly function: string; readonly canary: CanaryDocument }
  /** Since when a version is a shadow; the same. */
  | { readonly kind: 'saveShadow'; readonly function: string; readonly shadow: ShadowDocument }
  /** What was found of a version that is not wanted any more, or wanted otherwise. */
  | { readonly kind: 'saveOutcome'; readonly function: string; readonly outcome: OutcomeDocument }
  /** Which instances are to have a version that rolls; unless another one was deployed meanwhile. */
  | { readonly kind: 'saveRolling'; readonly function: string; readonly rolling: RollingDocument }
  | { readonly kind: 'removeCommand'; readonly command: string }
  | {
      readonly kind: 'removeFollower'
      readonly stream: string
      readonly follower: string
      /** Only if it has not been renewed since. */
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
  /** All runners are asked how far they have come with producers that were killed. */
  | { readonly kind: 'askReceivers'; readonly gone: readonly GoneProducer[] }
  | { readonly kind: 'assign'; readonly assignment: Assignment; readonly leaderEpoch: number }
  | {
      readonly kind: 'log'
      readonly level: 'info' | 'warn'
      readonly message: string
      readonly task?: string
      /** Whom it is about: the log of its function has it too, in these words. */
      readonly about?: AboutInstance
    }

export interface AboutInstance {
  readonly function: string
  readonly instance: string
  readonly version: number
  readonly said: string
}

export interface Launch {
  readonly document: TaskDocument
  /** The function for which it is launched. */
  readonly function: string
}
