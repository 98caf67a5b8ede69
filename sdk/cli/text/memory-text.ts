/**
 * MemoryText: the memory of a function's runners, by account, and their bounds.
 * @module
 */
import type { Instance } from '../../api/index.ts'
import { memoryAccounts } from '../../api/memory.ts'
import { table } from '../terminal.ts'

/** One row for each runner, even if it has several instances. */
export function memoryTable(instances: readonly Instance[]): string {
  const seen = new Set<string>()
  const rows = instances.flatMap(({ id, taskId, rssBytes = 0, memory }) => {
    const runner = taskId ?? id
    if (memory === undefined || seen.has(runner)) return [] // a runner of an earlier release has no accounts
    seen.add(runner)
    const isShared = instances.some((other) => other.id !== id && other.taskId === taskId)
    const figures = [
      rssBytes,
      memory.boundBytes,
      ...memoryAccounts.map((account) => memory.accounts[account]),
    ]
    return [[isShared ? runner : id, ...figures.map((bytes) => Math.round(bytes / 2 ** 20))]]
  })
  if (rows.length === 0) return ''
  return table([
    ['MEMORY, MIB', 'IN USE', 'BOUND', ...memoryAccounts.map((name) => name.toUpperCase())],
    ...rows,
  ])
}

/** As in `12 of 64 MiB`. */
export function mibText(bytes: number, bound: number | undefined): string {
  const mib = Math.round(bytes / 2 ** 20)
  return bound === undefined ? `${mib} MiB` : `${mib} of ${bound} MiB`
}
