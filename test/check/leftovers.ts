/**
 * Finds processes that a run of tests started and did not end: every one of them has the name of the run's temporary
 * folder in its environment, its command line or its working directory.
 *
 *  V7. Only processes of this very run are found, and ended, whoever else uses the checkout.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Leftover {
  readonly pid: number
  readonly command: string
}

/** What a process may still take to end after the test that stopped it. */
const graceMs = 5_000

/** Waits until no process of the run is left; ends and shows those that stay. True if none had to be ended. */
export async function endLeftovers(
  mark: string,
  options: { readonly graceMs?: number; readonly write?: (text: string) => void } = {},
): Promise<boolean> {
  await untilNone(mark, performance.now() + (options.graceMs ?? graceMs))
  const left = findLeftovers(mark)
  for (const { pid, command } of left) {
    ;(options.write ?? ((text: string) => process.stdout.write(text)))(`still running: ${pid} ${command}\n`)
    kill(pid)
  }
  await untilNone(mark, performance.now() + graceMs)
  return left.length === 0
}

/** A process that was killed is still seen for a while. */
async function untilNone(mark: string, deadlineMs: number): Promise<void> {
  while (findLeftovers(mark).length > 0 && performance.now() < deadlineMs) await sleep(50)
}

/** The processes that carry the mark, this one excepted. An empty mark is carried by all that there are, and finds none (V7). */
export function findLeftovers(mark: string): readonly Leftover[] {
  if (mark === '') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => traces(name).includes(mark))
    .map((name) => ({
      pid: Number(name),
      command: read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim(),
    }))
    .filter(({ command }) => command !== '') // a zombie
}

function traces(pid: string): string {
  return [read(`/proc/${pid}/environ`), read(`/proc/${pid}/cmdline`), readLink(`/proc/${pid}/cwd`)].join('\0')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return '' // it has ended meanwhile, or is another user's
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended meanwhile
  }
}
