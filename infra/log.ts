/**
 * Log: one JSON object a line on standard error; standard output is for a process's answers.
 *
 *   G1. A field with the name of a secret is never written, at the top or one level down.
 *   G2. A line is written before the call returns, so nothing is lost if the process dies.
 *   G3. A line that cannot be written, as on a full disk, ends nothing: it is left out, and the log says how many were once it can.
 * @module
 */
import { writeSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
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
  const standardError = linesTo(2, (leftOut) =>
    log.warn({ leftOut }, 'could not write lines of this log, as on a full disk'),
  )
  const log: Log = pino({ name, level, redact, formatters }, to ?? standardError)
  return log
}

/** @param onRegained Called after the first line that could be written again, with how many could not (G3). */
function linesTo(fd: number, onRegained: (leftOut: number) => void): DestinationStream {
  let leftOut = 0
  let isTorn = false
  const write = (line: string) => {
    const bytes = Buffer.from(isTorn ? `\n${line}` : line)
    let at = 0
    try {
      while (at < bytes.length) at += writeWhenReady(fd, bytes, at)
    } catch {
      isTorn ||= at > 0
      leftOut++
      return
    }
    isTorn = false
    if (leftOut === 0) return
    const told = leftOut
    leftOut = 0
    onRegained(told)
  }
  return { write }
}

/** A pipe that another process has made non-blocking may be full for a while. */
function writeWhenReady(fd: number, bytes: Buffer, at: number): number {
  for (;;) {
    try {
      return writeSync(fd, bytes, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}
