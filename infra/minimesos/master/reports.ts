/**
 * Reports: the master's own status updates, without `uuid`, which are not acknowledged.
 * @module
 */
import type { Task } from '../agent/index.ts'
import type { Operation, TaskInfo, TaskState, TaskStatus } from '../wire/index.ts'
import type { Reach } from './agents.ts'

/** A status without its timestamp. */
export type Report = Omit<TaskStatus, 'timestamp'>

/** The task is not launched. */
export function notLaunched(info: TaskInfo, state: TaskState, reason: string, message: string): Report {
  return { task_id: info.task_id, state, message, source: 'SOURCE_MASTER', reason, agent_id: info.agent_id }
}

export function latestState(task: Task): Report {
  return {
    task_id: { value: task.id },
    state: task.state,
    message: 'Reconciliation: Latest task state',
    source: 'SOURCE_MASTER',
    reason: 'REASON_RECONCILIATION',
    agent_id: task.record.info.agent_id,
    container_status: task.containerStatus,
  }
}

/** The report for a task whose agent has changed its state. */
export function ofAgent(task: Task, state: TaskState, reason: string, message: string): Report {
  return {
    task_id: { value: task.id },
    state,
    message,
    source: 'SOURCE_MASTER',
    reason,
    agent_id: task.record.info.agent_id,
  }
}

const unknownStates = {
  connected: ['TASK_GONE', 'unknown to the agent'],
  silent: ['TASK_GONE', 'unknown to the agent'],
  unreachable: ['TASK_UNREACHABLE', 'unreachable'],
  gone: ['TASK_GONE_BY_OPERATOR', 'gone'],
} as const

/**
 * The report for an unknown task.
 * @param reach The state of its agent, if there is one of that id; the agent would know the task.
 */
export function unknownTask(taskId: string, agentId: string | undefined, reach: Reach | undefined): Report {
  const [state, what] = reach === undefined ? (['TASK_UNKNOWN', 'unknown'] as const) : unknownStates[reach]
  return {
    task_id: { value: taskId },
    state,
    message: `Reconciliation: Task is ${what}`,
    source: 'SOURCE_MASTER',
    reason: 'REASON_RECONCILIATION',
    ...(agentId === undefined ? {} : { agent_id: { value: agentId } }),
  }
}

/** The tasks that an operation would launch. */
export function tasksOf(operation: Operation): readonly TaskInfo[] {
  return [...(operation.launch?.task_infos ?? []), ...(operation.launch_group?.task_group.tasks ?? [])]
}
