/**
 * CallLimits: the time and memory limits of one call, and what happens when it is slow.
 * @module
 */
import type { Clock } from '../../../infra/clock.ts'
import type { CodedError } from '../../../sdk/errors.ts'
import { memorySoftShare } from '../../../sdk/manifest/manifest.ts'
import { type IsolateErrorCode, isolateError } from '../errors.ts'
import type { GuestCall } from './isolate-call.ts'
import { type Exceeded, guardMemory, quietMs, type ResidentMemory } from './memory-guard.ts'

/**
 * After this long a batch is asked to end, so that a slow function's outputs leave and its time limit starts again.
 */
const sliceDefaultMs = 50
/** After this part of that time the timers of a batch are asked to end, so that its records need not wait for all that are due. */
const timersShare = 0.2

export interface LimitedCall extends GuestCall {
  /** Called when the call has returned. */
  readonly over: () => void
  /** Returns the error to report for the call: if the machine was too slow, and not the code, it says so. */
  readonly judged: (error: CodedError<IsolateErrorCode>) => CodedError<IsolateErrorCode>
}

/** Code that gets CPU time uses more than this share of its elapsed time. */
const cpuShareMin = 0.1

export interface CallLimitsOptions {
  readonly clock: Clock
  readonly sliceMs: number | undefined
  readonly heapMib: number
  readonly memory: ResidentMemory | undefined
  /** What the isolate is doing, in words. */
  readonly doing: () => string
  readonly askToYield: () => void
  readonly askForRecords: () => void
  /** The call has reached a memory bound. */
  readonly onOutgrown: (how: string) => void
}

/** @param spentMs How long its batch has taken already, in calls before this one: an asynchronous callback ends a call. */
export function callLimits(options: CallLimitsOptions, limitMs: number, spentMs = 0): LimitedCall {
  const { clock, memory, heapMib, doing, askToYield, askForRecords, onOutgrown } = options
  const slowMs = Math.min(quietMs, limitMs / 4)
  const sliceMs = options.sliceMs ?? Math.min(sliceDefaultMs, limitMs / 4)
  const timersMs = sliceMs * timersShare - spentMs
  if (timersMs <= 0) askForRecords()
  let stops: (() => void)[] = []
  let since: { readonly atMs: number; readonly cpuMs: number } | undefined
  return {
    limitMs,
    slowMs,
    slow: () => {
      since = { atMs: clock.monotonicMs(), cpuMs: cpuMs() }
      stops = [clock.after(sliceMs - slowMs, askToYield)]
      if (timersMs <= slowMs) askForRecords()
      else stops.push(clock.after(timersMs - slowMs, askForRecords))
      if (memory === undefined) return
      stops.push(
        guardMemory(memory, heapMib, clock, (exceeded) =>
          onOutgrown(`${doing()} ${outgrown(exceeded, heapMib, memory.bytesMax)}`),
        ),
      )
    },
    doing,
    over: () => {
      for (const stop of stops) stop()
    },
    judged: (error) => {
      if (error.code !== 'ERR_DEADLINE') return error
      // Over its limit without being reported slow: not even the timer got CPU time.
      const usedMs = since === undefined ? 0 : cpuMs() - since.cpuMs
      const tookMs = since === undefined ? limitMs : clock.monotonicMs() - since.atMs
      if (usedMs >= cpuShareMin * tookMs) return error
      const text = `${error.message}; its process had a CPU for ${Math.round(usedMs)} ms of ${Math.round(tookMs)}`
      return isolateError('ERR_DEADLINE', text, { ...error.detail, starved: true })
    },
  }
}

/** CPU time of all threads of the process: if it is small for all, it is small for the isolate's. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Names the setting whose bound was reached: raising the other would not help. */
function outgrown({ bound, bytes, grownBytes }: Exceeded, heapMib: number, bytesMax: number): string {
  const [held, grown, most] = [bytes, grownBytes, bytesMax].map((one) => Math.round(one / 2 ** 20))
  return bound === 'process'
    ? `took its process to ${held} MiB; a call that grows is ended at ${Math.floor((bytesMax * memorySoftShare) / 2 ** 20)}, ${100 * memorySoftShare} % of the ${most} that it may have (resources.memMib)`
    : `took ${grown} MiB more, beyond the ${heapMib} of heap that it may have (limits.heapMib); its process then held ${held} MiB of ${most} (resources.memMib)`
}
