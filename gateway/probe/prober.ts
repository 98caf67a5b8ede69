/**
 * Prober: compiles and loads uploads in child processes, one each.
 *
 *   R1. Hostile code runs in no process but its own child's.
 *   R2. At most `atOnceMax` children work at a time; an upload beyond that is refused, not queued.
 *   R3. A child starts as soon as an upload is expected, and from then on one is ready, so that a deploy does not wait for a
 *       process to start; until none was expected for `readyMs`. A gateway through which nobody deploys has no child.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import { refuse } from '../errors.ts'
import { decodeAnswer, type Outcome } from './answer.ts'
import { ProbeProcess } from './probe-process.ts'
import { encodeUpload, type Upload } from './protocol.ts'

const atOnceMax = 4
/** Someone who works on a function deploys again within it. */
export const readyMs = 10 * 60_000

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
  #forget = (): void => undefined
  #closed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** An upload is on its way: a child starts meanwhile (R3). */
  expect(): void {
    if (this.#closed) return
    const idle = this.#idle?.alive ? this.#idle : new ProbeProcess(this.#clock)
    this.#idle = idle
    this.#forget()
    this.#forget = this.#clock.after(readyMs, () => {
      this.#idle = undefined
      void idle.close()
    })
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
    this.#forget()
    this.#working.add(process)
    try {
      return readAnswer(await process.answer(encodeUpload(upload)), upload)
    } finally {
      this.#working.delete(process)
      this.expect()
    }
  }

  /** Ends every child. */
  async close(): Promise<void> {
    this.#closed = true
    this.#forget()
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
