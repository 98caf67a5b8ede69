/**
 * Jitter: one process of a platform after another stands still for a moment, as on a machine that is short of CPUs, but each alone,
 * which is what brings orders about that a loaded machine seldom has.
 *
 *   J1. Nobody stands still longer than `longestMs`, far below what a watchdog or a session takes for a death.
 *   J2. After `end` nobody stands still.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

const shortestMs = 10
const longestMs = 300

export class Jitter {
  readonly #root: number
  readonly #everyMs: number
  readonly #ended: Promise<void>
  #ends = false

  /** @param perSecond How often a process is stopped. */
  constructor(root: number, perSecond: number) {
    this.#root = root
    this.#everyMs = 1000 / perSecond
    this.#ended = this.#run()
  }

  async end(): Promise<void> {
    this.#ends = true
    await this.#ended
  }

  async #run(): Promise<void> {
    const under = new Set<Promise<void>>()
    while (!this.#ends) {
      await setTimeout(this.#everyMs * 2 * Math.random())
      const pids = descendantsOf(this.#root)
      const pid = pids[Math.floor(Math.random() * pids.length)]
      if (pid === undefined) continue
      const stop = stopFor(pid, shortestMs + (longestMs - shortestMs) * Math.random() ** 2)
      under.add(stop)
      void stop.then(() => under.delete(stop))
    }
    await Promise.all(under)
  }
}

async function stopFor(pid: number, ms: number): Promise<void> {
  signal(pid, 'SIGSTOP')
  await setTimeout(ms)
  signal(pid, 'SIGCONT')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended meanwhile
  }
}

function descendantsOf(root: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const parent = parentOf(name)
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const found = [root]
  for (const pid of found) found.push(...(children.get(pid) ?? []))
  return found.slice(1)
}

/** @see proc(5), stat */
function parentOf(pid: string): number | undefined {
  if (!/^\d+$/.test(pid)) return undefined
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}
