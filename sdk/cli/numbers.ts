/**
 * Numbers: options that must be numbers, checked where they are parsed.
 * @module
 */
import { InvalidArgumentError } from 'commander'
import { CodedError } from '../errors.ts'
import type { CliErrorCode } from './errors.ts'

/** A parser for a whole number of at least `least`. */
export function wholeNumber(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  const range = most === Number.POSITIVE_INFINITY ? `of at least ${least}` : `from ${least} to ${most}`
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Expected a whole number ${range}.`)
    return value
  }
}

/** A parser for a port; 0 is any that is free. */
export function portNumber(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw new InvalidArgumentError('Expected a whole number from 0 to 65535.')
}

/** A parser for a number of servers with a quorum: 1 or 3. */
export function oneOrThree(text: string): number {
  if (text === '1' || text === '3') return Number(text)
  throw new InvalidArgumentError('Expected 1 or 3: two are no safer than one.')
}

/** A parser for a number above 0. */
export function positiveNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Expected a number above 0.')
  return value
}

/** A parser for a duration in seconds, from 1 to a week. */
export function bakeSeconds(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 1 && value <= 604_800) return value
  throw new InvalidArgumentError('Expected a number of seconds from 1 to 604800.')
}

/** A version, as `v3` or `3`. */
export function versionNumber(text: string): number {
  const version = Number(text.replace(/^v/, ''))
  if (Number.isSafeInteger(version) && version > 0) return version
  throw new CodedError<CliErrorCode>('ERR_USAGE', `'${text}' is no version: it is a number, as v3 or 3`)
}
