/**
 * CpuUse: how busy the machine's CPUs were meanwhile: a check that leaves them idle waits, and one that does not has too much to do.
 * @module
 */
import { cpus } from 'node:os'

interface Spent {
  readonly busyMs: number
  readonly allMs: number
}

/** @returns What says it, as a share. */
export function startCpuUse(read: () => Spent = spent): () => string {
  const before = read()
  return () => {
    const now = read()
    const share = (now.busyMs - before.busyMs) / Math.max(1, now.allMs - before.allMs)
    return `${Math.round(100 * share)} % of the CPUs`
  }
}

function spent(): Spent {
  const times = cpus().map((cpu) => cpu.times)
  const allMs = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0)
  return { busyMs: times.reduce((busy, { idle }) => busy - idle, allMs), allMs }
}
