/**
 * SignedPath: `/v1/runner/END/SIGNATURE/NAME` allows its holder to fetch that file until END, in seconds since 1970,
 * and nothing else. The signature is in the path, and the name comes last, because a cluster's fetcher names the file
 * after the end of the URL, and chooses how to unpack it by that name.
 *
 *   SP1. A path is valid for at least `urlSeconds` after it was made, and for less than twice that.
 *   SP2. A path stays the same for `urlSeconds`: the fetcher's cache identifies a file by its URL.
 * @module
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { infraError } from '../errors.ts'

const prefix = '/v1/runner/'
const keyCharsMin = 16

/** @throws {CodedError} ERR_RUNNER_ARCHIVE */
export function checkKey(key: string | undefined): string {
  if (key !== undefined && key.length >= keyCharsMin) return key
  throw infraError(
    'ERR_RUNNER_ARCHIVE',
    `Cannot use the runner's archive: its URLs are signed with runnerArchive.key, which has ${key === undefined ? 'no value' : `${key.length} characters`}. Set it, the same for every scheduler and gateway, to ${keyCharsMin} characters or more`,
  )
}

export function signedPath(name: string, key: string, nowMs: number, urlSeconds: number): string {
  const end = (Math.floor(nowMs / 1000 / urlSeconds) + 2) * urlSeconds
  return `${prefix}${end}/${sign(name, end, key)}/${name}`
}

/** @returns The name of the file that the path allows to fetch now, or undefined. */
export function verifyPath(path: string, key: string, nowMs: number): string | undefined {
  const [, digits = '', signature = '', name = ''] =
    /^\/v1\/runner\/(\d{1,12})\/([0-9a-f]{64})\/([A-Za-z0-9.-]+)$/.exec(path) ?? []
  const end = Number(digits)
  const expected = sign(name, end, key)
  const isOurs = timingSafeEqual(Buffer.from(signature.padEnd(expected.length)), Buffer.from(expected))
  return isOurs && nowMs < end * 1000 ? name : undefined
}

function sign(name: string, end: number, key: string): string {
  return createHmac('sha256', key).update(`${end}\n${name}`).digest('hex')
}
