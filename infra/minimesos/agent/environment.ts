/**
 * Environment: the environment of a task: Mesos's variables, the few that a program needs, and the task's own.
 *
 *   E1. Nothing else of minimesos's environment is passed on: it may contain credentials.
 * @module
 */
import type { TaskRecord } from './task-folder.ts'

const inherited = ['PATH', 'HOME', 'LANG', 'NODE_COMPILE_CACHE'] as const

export interface AgentAddress {
  readonly agentId: string
  /** `host:port` */
  readonly endpoint: string
}

export function taskEnvironment(record: TaskRecord, address: AgentAddress): Record<string, string> {
  const { info, frameworkId, role, sandbox } = record
  const own = (info.command?.environment?.variables ?? []).map((v) => [v.name, v.value ?? ''] as const)
  return {
    ...Object.fromEntries(
      inherited.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    LIBPROCESS_IP: '127.0.0.1',
    LIBPROCESS_PORT: '0',
    MESOS_AGENT_ENDPOINT: address.endpoint,
    MESOS_ALLOCATION_ROLE: role,
    MESOS_CHECKPOINT: '1',
    MESOS_DIRECTORY: sandbox,
    MESOS_EXECUTOR_ID: info.task_id.value,
    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD: '5secs',
    MESOS_FRAMEWORK_ID: frameworkId,
    MESOS_HTTP_COMMAND_EXECUTOR: '0',
    MESOS_RECOVERY_TIMEOUT: '15mins',
    MESOS_SANDBOX: sandbox,
    MESOS_SLAVE_ID: address.agentId,
    MESOS_SLAVE_PID: `slave(1)@${address.endpoint}`,
    MESOS_SUBSCRIPTION_BACKOFF_MAX: '2secs',
    MESOS_TASK_ID: info.task_id.value,
    ...Object.fromEntries(own),
  }
}
