/** The errors of the isolate's host: code → who can fix it. */
import { type Blame, CodedError } from '../../sdk/errors.ts'

export const isolateErrors = {
  /** The bundle does not parse, imports something, throws while it loads, or exports no function. */
  ERR_BUNDLE_LOAD: 'function',
  /** `init` threw or rejected. */
  ERR_INIT_FAILED: 'function',
  /** `destroy` threw or rejected. */
  ERR_DESTROY_FAILED: 'function',
  /** A callback threw under the policy `fail`, or a promise was rejected and nobody awaits or catches it. */
  ERR_FUNCTION_FAILED: 'function',
  /** A callback, a batch, `migrate`, `init` or `destroy` exceeded its time limit. */
  ERR_DEADLINE: 'function',
  /** The call exceeded `limits.heapMib`, or brought its process near `resources.memMib`; the message says which. */
  ERR_MEMORY: 'function',
  /** The instance was used after its end, or during another call. */
  ERR_INSTANCE_STATE: 'platform',
  /** V8 lost the isolate, or its shared memory cannot be read. */
  ERR_ISOLATE_LOST: 'platform',
} as const satisfies Record<string, Blame>
export type IsolateErrorCode = keyof typeof isolateErrors

export function isolateError(
  code: IsolateErrorCode,
  message: string,
  detail: Record<string, unknown> = {},
): CodedError<IsolateErrorCode> {
  return new CodedError(code, message, { detail })
}

/** Fewest attempts if the machine had no CPU for a callback (RE3 of reactions.ts). */
export const starvedAttemptsMax = 10

/** Whether a callback exceeded its time limit while its process had no CPU. */
export function isStarved(why: Error): boolean {
  return (why as Partial<CodedError>).detail?.['starved'] === true
}
