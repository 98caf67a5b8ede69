/**
 * Ending: the status for a command that has ended, in the words of Mesos's command executor and agent.
 * @module
 */
import type { TaskState, TaskStatus } from '../wire/index.ts'
import type { Exit } from './task-folder.ts'

export type Ending = Pick<TaskStatus, 'state' | 'source' | 'message' | 'reason' | 'limitation'>

/**
 * The command ended.
 * @param killed It had been told to end; then its exit status does not matter.
 * @param lastWords Its last output on stderr. Mesos's own executor leaves it in the sandbox; here, on a single
 *   machine, it is appended to the message of a failure.
 */
export function commandEnded(exit: Exit, killed: boolean, lastWords = ''): Ending {
  const success = exit.kind === 'status' && exit.value === 0
  const state: TaskState = killed ? 'TASK_KILLED' : success ? 'TASK_FINISHED' : 'TASK_FAILED'
  const ended =
    exit.kind === 'status'
      ? `Command exited with status ${exit.value}`
      : `Command terminated with signal ${signalTexts[exit.value] ?? `Unknown signal ${exit.value}`}`
  const says = state === 'TASK_FAILED' && exit.kind === 'status' && lastWords !== ''
  return { state, source: 'SOURCE_EXECUTOR', message: says ? `${ended}: ${lastWords}` : ended }
}

/** The shim is gone and left no status: how the command ended is not known. */
export function shimLost(killed: boolean): Ending {
  return {
    state: killed ? 'TASK_KILLED' : 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
    message: 'Abnormal executor termination: the shim ended without a status',
  }
}

export function memoryExceeded(limitMib: number, peakMib: number, statistics: string): Ending {
  return {
    state: 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_CONTAINER_LIMITATION_MEMORY',
    message: `Memory limit exceeded: Requested: ${limitMib}MB Maximum Used: ${peakMib}MB\n\nMEMORY STATISTICS: \n${statistics}\n`,
    limitation: { resources: [{ name: 'mem', type: 'SCALAR', scalar: { value: limitMib } }] },
  }
}

export function launchFailed(reason: string): Ending {
  return {
    state: 'TASK_FAILED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    message: `Failed to launch container: ${reason}`,
  }
}

export const killedDuringLaunch: Ending = {
  state: 'TASK_KILLED',
  source: 'SOURCE_AGENT',
  reason: 'REASON_TASK_KILLED_DURING_LAUNCH',
  message: 'Killed before delivery to the executor',
}

export function wrongUser(sandbox: string, user: string, own: string): Ending {
  return {
    state: 'TASK_DROPPED',
    source: 'SOURCE_AGENT',
    reason: 'REASON_EXECUTOR_TERMINATED',
    message: `Failed to create executor directory '${sandbox}': Failed to chown directory to '${user}': tasks run as '${own}' here`,
  }
}

/** strsignal(3) of Linux. */
const signalTexts: Readonly<Record<number, string>> = {
  1: 'Hangup',
  2: 'Interrupt',
  3: 'Quit',
  4: 'Illegal instruction',
  5: 'Trace/breakpoint trap',
  6: 'Aborted',
  7: 'Bus error',
  8: 'Floating point exception',
  9: 'Killed',
  10: 'User defined signal 1',
  11: 'Segmentation fault',
  12: 'User defined signal 2',
  13: 'Broken pipe',
  14: 'Alarm clock',
  15: 'Terminated',
  24: 'CPU time limit exceeded',
  25: 'File size limit exceeded',
  31: 'Bad system call',
}
