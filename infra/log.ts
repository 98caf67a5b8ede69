/**
 * Log: one JSON object a line on standard error; standard output is for a process's answers.
 *
 *   G1. A field with the name of a secret is never written, at the top or one level down.
 *   G2. A line is written before the call returns, so nothing is lost if the process dies.
 * @module
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { Config } from './config/index.ts'

export type Log = Logger

const secretNames = [
  'password',
  'pass',
  'token',
  'secret',
  'authorization',
  'Authorization',
  'runnerPassword',
]

export interface LogOptions {
  /** The process: `gateway`, `scheduler`, `runner` … */
  readonly name: string
  readonly level: Config['log']['level']
  /** Where to; standard error unless a test listens. */
  readonly to?: DestinationStream
}

export function makeLog({ name, level, to }: LogOptions): Log {
  const redact = { paths: secretNames.flatMap((secret) => [secret, `*.${secret}`]), censor: '***' }
  const formatters = { level: (label: string) => ({ level: label }) }
  return pino({ name, level, redact, formatters }, to ?? destination({ fd: 2, sync: true }))
}
