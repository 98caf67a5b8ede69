/**
 * Framework: one registered scheduler, subscribed or not.
 * @module
 */
import { type FrameworkInfo, has, rolesOf, type TaskState } from '../wire/index.ts'
import type { EventStream } from './event-stream.ts'

/** A framework that is not PARTITION_AWARE hears TASK_LOST instead. */
const partitionStates: ReadonlySet<TaskState> = new Set([
  'TASK_DROPPED',
  'TASK_GONE',
  'TASK_GONE_BY_OPERATOR',
  'TASK_UNKNOWN',
  'TASK_UNREACHABLE',
])

export class Framework {
  readonly id: string
  info: FrameworkInfo
  suppressed: ReadonlySet<string>
  /** Undefined while it is not subscribed. */
  stream: EventStream | undefined
  /** Known from before a restart of the master, and silent since. */
  recovered: boolean
  /** Stops the removal that is due when it stays away. */
  cancelRemoval: () => void = () => {}

  constructor(id: string, info: FrameworkInfo, recovered: boolean) {
    this.id = id
    this.info = info
    this.recovered = recovered
    this.suppressed = new Set()
  }

  get roles(): readonly string[] {
    return rolesOf(this.info)
  }

  /** The roles in which it takes offers. */
  get activeRoles(): readonly string[] {
    return this.stream === undefined ? [] : this.roles.filter((role) => !this.suppressed.has(role))
  }

  /** The state as this framework understands it. */
  told(state: TaskState): TaskState {
    return partitionStates.has(state) && !has(this.info, 'PARTITION_AWARE') ? 'TASK_LOST' : state
  }

  /** Takes over what a new FrameworkInfo may change; a changed user or `checkpoint` is ignored, as a master does. */
  update(info: FrameworkInfo, suppressed: readonly string[]): void {
    const { user, checkpoint } = this.info
    const { checkpoint: _, ...rest } = info
    this.info = { ...rest, user, ...(checkpoint === undefined ? {} : { checkpoint }) }
    this.suppressed = new Set(suppressed)
  }
}
