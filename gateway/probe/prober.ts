/**
 * Prober: compiles and loads uploads in child processes, one each, and keeps one warm so that a deploy does not wait
 * for a process to start.
 *
 *   R1. Hostile code runs in no process but its own child's.
 *   R2. At most `atOnceMax` children work at a time; an upload beyond that is refused, not queued.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { refuse } from '../errors.ts'
import { decodeAnswer, type Outcome } from './answer.ts'
import { ProbeProcess } from './probe-process.ts'
import { encodeUpload, type Upload } from './protocol.ts'

const atOnceMax = 4

/** An upload that loads: its bundle, and its metadata. */
export interface Probed {
  readonly bundle: Uint8Array
  /** Empty if there is none. */
  readonly sourceMap: Uint8Array
  readonly metadata: unknown
  readonly callbacks: Extract<Outcome, { ok: true }>['callbacks']
}

export class Prober {
  readonly #clock: Clock
  readonly #working = new Set<ProbeProcess>()
  #idle: ProbeProcess | undefined
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#idle = new ProbeProcess(clock)
  }

  /** @throws {CodedError} What is wrong with the upload, or ERR_BUSY. */
  async probe(upload: Upload): Promise<Probed> {
    if (this.#working.size >= atOnceMax || this.#closed) {
      throw refuse(
        'ERR_BUSY',
        `Cannot load the function now: ${this.#working.size} others are being loaded. Try again in a moment.`,
      )
    }
    const process = this.#idle?.alive ? this.#idle : new ProbeProcess(this.#clock)
    this.#idle = undefined
    this.#working.add(process)
    try {
      return readAnswer(await process.answer(encodeUpload(upload)), upload)
    } finally {
      this.#working.delete(process)
      if (!this.#closed) this.#idle ??= new ProbeProcess(this.#clock)
    }
  }

  /** Ends every child. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#working, this.#idle].map((process) => process?.close()))
  }
}

function readAnswer(bytes: Buffer, upload: Upload): Probed {
  const { outcome, code, sourceMap } = decodeOrCrashed(bytes)
  if (!outcome.ok) {
    const { location } = outcome
    throw refuse(outcome.code, outcome.message, location === undefined ? {} : { location })
  }
  const { metadata, callbacks } = outcome
  return upload.kind === 'source'
    ? { bundle: code, sourceMap, metadata, callbacks }
    : { bundle: upload.code, sourceMap: upload.sourceMap, metadata, callbacks }
}

function decodeOrCrashed(bytes: Buffer) {
  try {
    return decodeAnswer(bytes)
  } catch {
    const found = bytes.length === 0 ? 'without an answer' : 'in the middle of its answer'
    throw refuse(
      'ERR_LOAD_CRASHED',
      `Cannot load the function: the process that loaded it ended ${found}. Does its top level use up memory?`,
    )
  }
}
