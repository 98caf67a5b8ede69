/**
 * Thenable: recognizes the result of an asynchronous callback.
 * @module
 */
export function isThenable(result: unknown): result is PromiseLike<unknown> {
  return (
    typeof result === 'object' &&
    result !== null &&
    typeof (result as PromiseLike<unknown>).then === 'function'
  )
}
