/** The front door of store/: the small tree of documents that holds what is wanted and what is. */
export {
  type CanaryDocument,
  type CommandDocument,
  type EpochDocument,
  type FollowerDocument,
  type FormerAccounts,
  type FrameworkDocument,
  type FunctionDocument,
  foldedSender,
  type InstanceStatus,
  type LostSlot,
  type OutcomeDocument,
  paths,
  type RollingDocument,
  type ScaleLook,
  type ScalingDocument,
  type SeatDocument,
  type SenderDocument,
  type SentDocument,
  type SentRow,
  type ShadowDocument,
  type StatusDocument,
  type StreamDocument,
  type TaskDocument,
  type VersionDocument,
} from './documents.ts'
export { type FileHold, tryHold, tryLock } from './file-lock.ts'
export { documentBytesMax } from './limits.ts'
export { checkNamespace, watchNamespace } from './namespace.ts'
export { openStore, type StoreSettings } from './open.ts'
export { failureOf, outcomeAfter } from './outcomes.ts'
export { withoutRollout } from './rollout-progress.ts'
export { pagesOf, readStatus, type StatusHead, type StatusPage, statusOf } from './status-pages.ts'
export { type Leadership, type Store, type StoredDocument, upsert } from './store.ts'
export { marksOf, noteMarked, storeIdOf } from './store-id.ts'
