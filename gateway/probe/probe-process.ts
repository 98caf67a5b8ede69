/**
 * ProbeProcess: one child that loads one upload, and its end.
 *
 *   P1. The child's environment contains only the folder of compiled code. It has no open files of ours except its stdin
 *       and stdout, and it has a process group of its own.
 *   P2. Its whole group is killed when its time or memory is used up, when it has written too much, or on request.
 *   P3. `answer` settles, whatever the child does.
 * @module
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '../../infra/clock.ts'
import { programFile } from '../../infra/programs.mjs'
import { refuse } from '../errors.ts'
import { answerBytesMax } from './answer.ts'
import { mend, readyByte } from './protocol.ts'

export const deadlineMs = 5000
const rssMibMax = 512
const startDeadlineMs = 30_000
const watchEveryMs = 25
const complaintMax = 2000

export class ProbeProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #clock: Clock
  readonly #chunks: Buffer[] = []
  readonly #closed: Promise<void>
  readonly #ready: Promise<void>
  #bytes = 0
  /** What it wrote to stderr, in case it cannot start. */
  #complaint = ''
  /** Set at its end: the pid may be reused from then on. */
  #ended = false
  #killedFor: Error | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    const { NODE_COMPILE_CACHE } = process.env
    this.#child = spawn(
      process.execPath,
      ['--no-node-snapshot', '--disable-warning=ExperimentalWarning', programFile('gateway/probe/child.ts')],
      {
        env: NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE },
        cwd: '/',
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
      },
    )
    this.#child.stdin.on('error', () => undefined) // the child has ended; `close` reports it
    const { promise: closed, resolve: close } = Promise.withResolvers<void>()
    const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()
    this.#closed = closed
    this.#ready = ready
    this.#child.on('error', () => close())
    this.#child.on('close', () => {
      this.#ended = true
      close()
    })
    this.#child.stdout.on('data', (chunk: Buffer) => {
      becomeReady()
      this.#take(chunk)
    })
    this.#child.stderr.on('data', (chunk: Buffer) => {
      if (this.#complaint.length < complaintMax) this.#complaint += chunk.toString().slice(0, complaintMax)
    })
  }

  /** False once it has ended, whatever the reason. */
  get alive(): boolean {
    return !this.#ended
  }

  /**
   * Sends the upload and answers all that the child says until it ends.
   * @throws {CodedError} Why it was killed. @throws {Error} If it ended before it got the upload: our bug.
   */
  async answer(upload: Uint8Array): Promise<Buffer> {
    const stopWaiting = this.#clock.after(startDeadlineMs, () => this.#kill(this.#tooLong()))
    await Promise.race([this.#ready, this.#closed])
    stopWaiting()
    if (this.#killedFor !== undefined) throw this.#killedFor
    if (this.#ended) throw new Error(`the child that loads functions did not start: ${this.#complaint}`)
    const stopWatching = this.#watch()
    this.#child.stdin.end(upload)
    await this.#closed
    stopWatching()
    if (this.#killedFor !== undefined) throw this.#killedFor
    return Buffer.concat(this.#chunks)
  }

  async close(): Promise<void> {
    this.#kill(
      refuse('ERR_CLOSING', 'Cannot load the function: the gateway is stopping. Try again in a moment.'),
    )
    await this.#closed
  }

  #take(chunk: Buffer): void {
    const bytes = this.#bytes === 0 && chunk[0] === readyByte ? chunk.subarray(1) : chunk
    this.#bytes += chunk.length
    if (this.#bytes > answerBytesMax)
      this.#kill(refuse('ERR_LOAD_CRASHED', 'Cannot load the function: it answered more than it may.'))
    else this.#chunks.push(bytes)
  }

  /** Deadline and memory (P2). */
  #watch(): () => void {
    const stopDeadline = this.#clock.after(deadlineMs, () => this.#kill(this.#tooLong()))
    let stopTick = (): void => undefined
    const tick = (): void => {
      stopTick = this.#clock.after(watchEveryMs, tick)
      if (groupRssMib(this.#child.pid) > rssMibMax) this.#kill(this.#tooLarge())
    }
    tick()
    return () => {
      stopDeadline()
      stopTick()
    }
  }

  #tooLong(): Error {
    return refuse(
      'ERR_LOAD_DEADLINE',
      `Cannot load the function: it did not come to an end within ${deadlineMs} ms and was killed. ${mend}`,
    )
  }

  #tooLarge(): Error {
    return refuse(
      'ERR_LOAD_MEMORY',
      `Cannot load the function: it took more than ${rssMibMax} MiB of memory and was killed. ${mend}`,
    )
  }

  #kill(reason: Error): void {
    this.#killedFor ??= reason
    this.#killGroup()
  }

  #killGroup(): void {
    if (this.#child.pid === undefined || this.#ended) return
    try {
      process.kill(-this.#child.pid, 'SIGKILL')
    } catch {
      // it has ended
    }
  }
}

/** Resident memory of a process and its children (esbuild's service). */
function groupRssMib(pid: number | undefined): number {
  if (pid === undefined) return 0
  const children = readOrEmpty(`/proc/${pid}/task/${pid}/children`).trim().split(' ')
  return [String(pid), ...children].reduce((sum, id) => sum + rssMib(id), 0)
}

function rssMib(pid: string): number {
  const pages = Number(readOrEmpty(`/proc/${pid}/statm`).split(' ')[1] ?? 0)
  return (pages * 4096) / 1048576
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
