/**
 * Meaning: turns the failure of a call into an error that names what the function was doing, the limit and the place.
 *
 *   ME1. Of a value that the author's code threw, only strings that isolated-vm has copied out are read.
 * @module
 */
import type { CodedError } from '../../../sdk/errors.ts'
import { CallFailure } from '../calls/isolate-call.ts'
import { type IsolateErrorCode, isolateError } from '../errors.ts'
import { placeOf, type StackMap, spell } from '../report/stack-map.ts'

export interface MeaningOptions {
  /** The function and its version. */
  readonly name: string
  readonly heapMib: number
  readonly stackMap: StackMap
}

export class Meaning {
  readonly #options: MeaningOptions

  constructor(options: MeaningOptions) {
    this.#options = options
  }

  /** @param failure isolated-vm's own failure; undefined: an error of the code that ran. */
  ofCall(
    error: unknown,
    failure: CallFailure | undefined,
    doing: string,
    limitMs: number,
  ): CodedError<IsolateErrorCode> {
    const { name, heapMib } = this.#options
    if (failure?.kind === 'deadline') {
      const { at, frames } = this.#stoodAt(error)
      const where = at === undefined ? '' : `; it was ended at ${at}`
      return isolateError(
        'ERR_DEADLINE',
        `Cannot go on with ${name}: ${doing} took longer than its limit of ${limitMs} ms${where}`,
        { ...(at !== undefined && { at, frames }) },
      )
    }
    if (failure?.kind === 'memory') {
      return isolateError(
        'ERR_MEMORY',
        `Cannot go on with ${name}: ${doing} passed the limit of ${heapMib} MiB of heap (limits.heapMib)`,
      )
    }
    const text = failure?.message ?? (error instanceof Error ? error.message : 'an error that is none')
    return isolateError(
      'ERR_ISOLATE_LOST',
      `Cannot go on with ${name}: its isolate was lost in ${doing}: ${text}`,
    )
  }

  /** What came out of the runtime, which catches all that a callback throws: a promise that was rejected, and nobody looks at. */
  ofStray(error: unknown, doing: string): CodedError<IsolateErrorCode> {
    const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
    const { at } = this.#options.stackMap.map(stack)
    const where = at === undefined ? '' : ` at ${spell(at)}`
    return isolateError(
      'ERR_FUNCTION_FAILED',
      `${this.#options.name} rejected a promise in ${doing} that nobody awaits or catches: ${name}: ${message}${where}`,
    )
  }

  /** An error that loading the bundle threw. */
  ofLoad(error: unknown): CodedError<IsolateErrorCode> {
    const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
    const { stackMap } = this.#options
    const place = placeOf(message)
    const mapped = stackMap.map(stack)
    const location = place === undefined ? mapped.at : stackMap.locate(place.line, place.column)
    const what = message.replace(/ \[function\.js:\d+:\d+\]/, '')
    const where = location === undefined ? '' : ` at ${spell(location)}`
    return isolateError('ERR_BUNDLE_LOAD', `Cannot load ${this.#options.name}: ${name}: ${what}${where}`, {
      stack: mapped.stack,
      location,
    })
  }

  /** Where the author's code was when V8 ended it for its time, if V8 says so. */
  #stoodAt(error: unknown): { readonly at?: string; readonly frames?: string } {
    const said = error instanceof Error && !(error instanceof CallFailure) ? (error.stack ?? '') : ''
    const { at, stack } = this.#options.stackMap.map(said)
    return at === undefined ? {} : { at: spell(at), frames: stack.slice(stack.indexOf('\n') + 1) }
  }
}
