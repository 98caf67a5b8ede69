/**
 * MemoryLimit: what an agent says of a task that the kernel has ended for its memory, as a sentence. Mesos appends all of
 * the cgroup's statistics, some forty lines.
 * @module
 */

const unitsMib: Readonly<Record<string, number>> = {
  B: 2 ** -20,
  KB: 2 ** -10,
  MB: 1,
  GB: 2 ** 10,
  TB: 2 ** 20,
}

/** As it is, if it is none of Mesos's messages about memory. */
export function memoryLimitText(message: string): string {
  const [, limit, limitUnit, used, usedUnit] =
    /^Memory limit exceeded: Requested: (\d+)([KMGT]?B) Maximum Used: (\d+)([KMGT]?B)/.exec(message) ?? []
  if (limit === undefined || limitUnit === undefined || used === undefined || usedUnit === undefined)
    return message
  const mib = (amount: string, unit: string) => Math.round(Number(amount) * unitsMib[unit]!)
  // By the names of cgroups v2, then v1.
  const anonymous = statistic(message, 'anon') ?? statistic(message, 'rss')
  const files = statistic(message, 'file') ?? statistic(message, 'cache')
  const parts =
    anonymous === undefined || files === undefined
      ? ''
      : ` (${mib(anonymous, 'B')} anonymous, ${mib(files, 'B')} of files)`
  return `The kernel ended it: its task held ${mib(used, usedUnit)} MiB${parts}, its bound is ${mib(limit, limitUnit)} MiB: raise resources.memMib or hold less`
}

function statistic(message: string, name: string): string | undefined {
  return new RegExp(`^${name} (\\d+)$`, 'm').exec(message)?.[1]
}
