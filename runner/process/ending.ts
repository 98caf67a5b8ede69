/**
 * Ending: how a runner tells its watchdog why it ends, and then ends for good.
 *
 * Lines on fd 3: `loading` says that no beat is to be expected before it has loaded; `.` is a beat; a JSON object is the ending,
 * the last line.
 * @module
 */
import { Socket } from 'node:net'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { type ExitReason, exitCodes } from '../../infra/control/messages/exit-codes.ts'
import { CodedError } from '../../sdk/errors.ts'

export const beatEveryMs = 50
export const loadingLine = 'loading'

export interface Ending {
  readonly code: number
  readonly reason: ExitReason
  readonly message: string
  /** The instance because of which it ends, where that is known. */
  readonly instance?: string
}

export function endingOf(reason: ExitReason, message: string): Ending {
  return { code: exitCodes[reason], reason, message }
}

/** Another owner has claimed the partitions of an instance. */
export function supersededBy({ epoch }: { readonly epoch: number }, instance: InstanceAssignment): Ending {
  return endingOf(
    'superseded',
    `Epoch ${epoch} has claimed the partitions of ${instance.id}, which held ${instance.epoch}`,
  )
}

/** Parses an ending as the watchdog read it. */
export function parseEnding(line: string): Ending | undefined {
  try {
    const ending = JSON.parse(line) as Ending
    return typeof ending.code === 'number' && typeof ending.reason === 'string' ? ending : undefined
  } catch {
    return undefined
  }
}

/** The runner's end of the pipe. Without a watchdog (fd 3 closed) it stays silent. */
export class WatchdogPipe {
  readonly #socket = openPipe()
  #timer: NodeJS.Timeout | undefined

  /** The runner is to be judged by its beats from now on. */
  beats(): void {
    this.#timer ??= setInterval(() => this.#socket?.write('.\n'), beatEveryMs)
  }

  /** Until `beats` the runner is at work that may take seconds on a busy machine or disk: it loads code, or writes it. */
  loads(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#socket?.write(`${loadingLine}\n`)
  }

  /** Says why, and ends the process with SIGKILL: nothing of V8 may run any more. */
  end(ending: Ending): void {
    clearInterval(this.#timer)
    const kill = (): void => {
      process.kill(process.pid, 'SIGKILL')
    }
    this.#socket?.write(`${JSON.stringify(ending)}\n`, kill)
    setTimeout(kill, 200)
  }
}

/** Not a stream of a file: those write in the threads that also wait for the disk, and beats would wait behind them. */
function openPipe(): Socket | undefined {
  try {
    return new Socket({ fd: 3, readable: false, writable: true }).on('error', () => undefined)
  } catch {
    return undefined
  }
}

/** Why an instance ends whose isolate ended with this code. */
export function reasonOf(code: string): ExitReason {
  if (code === 'ERR_FUNCTION_FAILED') return 'functionFailed'
  if (code === 'ERR_DEADLINE') return 'deadline'
  return code === 'ERR_MEMORY' ? 'memory' : 'crashed'
}

/** Why an instance could not be started, or could not take over what it was to have. */
export function startFailure(error: unknown): Ending {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof CodedError ? error.code : ''
  if (code === 'ERR_BUNDLE_MISSING' || code === 'ERR_BUNDLE_CORRUPT') return endingOf('bundle', message)
  if (code === 'ERR_BUNDLE_LOAD' || code === 'ERR_INIT_FAILED') return endingOf('initFailed', message)
  if (code === 'ERR_DEADLINE') return endingOf('deadline', message)
  if (code === 'ERR_MEMORY') return endingOf('memory', message)
  if (code === 'ERR_CHECKPOINT_SUPERSEDED') return endingOf('superseded', message)
  if (code.startsWith('ERR_CHECKPOINT_')) return endingOf('checkpoint', message)
  return crash(error)
}

export function crash(error: unknown): Ending {
  return endingOf('crashed', error instanceof Error ? (error.stack ?? error.message) : String(error))
}

/** Whether a record has ended the isolate of the instance: another process has to go on, when the neighbours have drained. */
export function isOfRecord({ reason }: Ending): boolean {
  return ['recordBroke', 'deadline'].includes(reason)
}

/**
 * Whether the others of its process are left to themselves: the instance ended in order, and nothing of it is left that could harm
 * them; or they drain already, and a record has ended it.
 */
export function neighboursGoOn(ending: Ending, isDraining: boolean): boolean {
  if (isDraining && isOfRecord(ending)) return true
  return ['functionFailed', 'initFailed', 'bundle', 'checkpoint'].includes(ending.reason)
}

/** Whether the function's code, or a record, is the reason. */
export function isOfTheFunction(reason: Ending['reason']): boolean {
  return ['functionFailed', 'recordBroke', 'deadline', 'memory'].includes(reason)
}
