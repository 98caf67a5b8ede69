/**
 * TaskFault: why a task is refused: what Mesos refuses, in its words, and what minimesos does not support, in its own.
 * @module
 */
import { contains, format, fromWire, type Resources, type TaskInfo } from '../wire/index.ts'

const taskIdLengthMax = 255

export interface TaskContext {
  readonly agentId: string
  readonly role: string
  /** What the offers still hold. */
  readonly left: Resources
  readonly taken: (taskId: string) => boolean
}

export function taskFault(info: TaskInfo, context: TaskContext): string | undefined {
  const id = info.task_id.value
  if (id === '') return 'ID must not be empty'
  if (id.length > taskIdLengthMax) return `ID must not be greater than ${taskIdLengthMax} characters`
  if (id === '.' || id === '..') return `'${id}' is disallowed`
  if (/[/\\\p{Cc}]/u.test(id)) return `'${id}' contains invalid characters`
  if (context.taken(id)) return `Task has duplicate ID: ${id}`
  if (info.agent_id.value !== context.agentId) {
    return `Task uses invalid agent ${info.agent_id.value} while agent ${context.agentId} is expected`
  }
  if ((info.command === undefined) === (info.executor === undefined)) {
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present'
  }
  return unsupported(info) ?? graceFault(info) ?? resourceFault(info, context)
}

/** Refused rather than ignored: a task without the check or the container that it asked for is another task. */
function unsupported(info: TaskInfo): string | undefined {
  const field = (['executor', 'container', 'health_check', 'check', 'max_completion_time'] as const).find(
    (name) => info[name] !== undefined,
  )
  if (field !== undefined) return `minimesos does not support 'TaskInfo.${field}'`
  if (info.command?.value === undefined) return "'CommandInfo.value' must be set"
  const special = info.resources.find(
    (r) => r.disk ?? r.revocable ?? r.shared ?? (r.type === 'SET' ? r : undefined),
  )
  return (
    special && `minimesos offers scalars and ranges without more to them, and '${special.name}' asks for more`
  )
}

function graceFault(info: TaskInfo): string | undefined {
  const nanoseconds = info.kill_policy?.grace_period?.nanoseconds ?? 0
  return nanoseconds < 0 ? "Task's 'kill_policy.grace_period' must be non-negative" : undefined
}

function resourceFault(info: TaskInfo, { left, role }: TaskContext): string | undefined {
  if (info.resources.length === 0) return 'Task uses no resources'
  const asked = fromWire(info.resources)
  if (contains(left, asked)) return undefined
  return `Total resources ${format(asked, role)} required by task and its executor is more than available ${format(left, role)}`
}
