/**
 * What to tell a caller whose upload the bundle store did not take.
 * @module
 */
import { isCode } from '../../sdk/errors.ts'
import { refuse } from '../errors.ts'

/** @param what As in "Cannot store WHAT". @throws {CodedError} ERR_STORAGE_FULL, ERR_BACKEND, or what `put` threw. */
export async function stored<T>(what: string, put: () => Promise<T>): Promise<T> {
  try {
    return await put()
  } catch (error) {
    if (!isCode(error, 'ERR_BUNDLE_STORE')) throw error
    const text = `Cannot store ${what}: ${error.message}. Nothing was changed;`
    if (/\bis full\b/.test(error.message))
      throw refuse('ERR_STORAGE_FULL', `${text} make room and deploy again.`)
    // nats-server falls silent when its disk fills up, so the reason may ask for room.
    const first = /\broom on its disk\b/.test(error.message) ? 'make room if there is none, and ' : ''
    throw refuse('ERR_BACKEND', `${text} ${first}deploy again.`)
  }
}
