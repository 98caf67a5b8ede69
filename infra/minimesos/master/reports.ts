/**
 * The master's own words on tasks: updates without `uuid`, which are not acknowledged.
 * @module
 */
import type { Task } from '../agent/index.ts'
import type { Operation, TaskInfo, TaskState, TaskStatus } from '../wire/index.ts'

/** A status that lacks only when it was said. */
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

/** `agentKnown`: the agent is here, and would know the task if there were one. */
export function unknownTask(taskId: string, agentId: string | undefined, agentKnown: boolean): Report {
  return {
    task_id: { value: taskId },
    state: agentKnown ? 'TASK_GONE' : 'TASK_UNKNOWN',
    message: `Reconciliation: Task is unknown${agentKnown ? ' to the agent' : ''}`,
    source: 'SOURCE_MASTER',
    reason: 'REASON_RECONCILIATION',
    ...(agentId === undefined ? {} : { agent_id: { value: agentId } }),
  }
}

/** The tasks that an operation would launch. */
export function tasksOf(operation: Operation): readonly TaskInfo[] {
  return [...(operation.launch?.task_infos ?? []), ...(operation.launch_group?.task_group.tasks ?? [])]
}
