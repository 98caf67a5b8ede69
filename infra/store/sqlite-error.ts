/**
 * What SQLite's errors mean to us.
 * @module
 */
import { CodedError } from '../../sdk/errors.ts'
import { infraError } from '../errors.ts'

/** Primary result codes, https://sqlite.org/rescode.html. */
const sqliteBusy = 5
const sqliteLocked = 6
const sqliteFull = 13

/** Whether another connection holds a lock: worth another attempt. */
export function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && [sqliteBusy, sqliteLocked].includes(code & 0xff)
}

/** Turns an error of SQLite into one of ours; other errors stay as they are. */
export function storeError(error: unknown, file: string): unknown {
  if (error instanceof CodedError || (error as { code?: unknown }).code !== 'ERR_SQLITE_ERROR') return error
  const { message, errcode = 0 } = error as Error & { errcode?: number }
  const why =
    (errcode & 0xff) === sqliteFull
      ? 'its disk is full. Make room for it'
      : `${message}. Look at the disk's space and the file's rights`
  return infraError('ERR_STORE_FAILED', `Cannot use the store ${file}: ${why}`, { cause: error })
}
