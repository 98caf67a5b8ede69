/**
 * What a callback returns, if its work is not over then.
 * @module
 */
export function isThenable(result: unknown): result is PromiseLike<unknown> {
  return (
    typeof result === 'object' &&
    result !== null &&
    typeof (result as PromiseLike<unknown>).then === 'function'
  )
}
