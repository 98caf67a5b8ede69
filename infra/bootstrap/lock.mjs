/**
 * Lock: a lock between processes that the kernel releases when its holder dies, however it dies: `flock` (util-linux)
 * holds it as long as our end of its pipe is open. Without `flock` there is no lock.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

const noticeMs = 1_000

/** Runs `work` while no other process holds the lock on `path`. Calls `waiting` if another holds it for long. */
export async function withLock(path, work, waiting = () => {}) {
  mkdirSync(dirname(path), { recursive: true })
  const holder = spawn('flock', [path, 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'ignore'] })
  const ended = once(holder, 'close').catch(() => {}) // no flock here: go on without
  const notice = setTimeout(waiting, noticeMs)
  await Promise.race([once(holder.stdout, 'data'), ended])
  clearTimeout(notice)
  try {
    return await work()
  } finally {
    holder.stdin.end()
    await ended
  }
}
