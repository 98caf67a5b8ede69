/**
 * Topology checks: refuse deploys that would harm the existing functions. Pure.
 * @module
 */

import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import { refuse } from '../errors.ts'

/** State is scoped to (function, partition), so a key must be in the same partition of every input. */
export function checkPartitions(
  { name, istreams }: Manifest,
  partitionsOf: (stream: string) => number,
): void {
  const keyed = Object.keys(istreams).filter((stream) => istreams[stream]!.grouping === 'groupBy')
  const [first, ...others] = keyed
  const other = others.find((stream) => partitionsOf(stream) !== partitionsOf(first!))
  if (first === undefined || other === undefined) return
  throw refuse(
    'ERR_PARTITIONS_DIFFER',
    `Cannot deploy '${name}': its groupBy inputs must have the same number of partitions, since its state is kept by partition; ` +
      `'${first}' has ${partitionsOf(first)}, '${other}' has ${partitionsOf(other)}. Read a stream made with equal partitions instead.`,
  )
}

/**
 * Refuses a change between a queue of its own and none: the sequences differ, so waiting records could not move from
 * one to the other.
 */
export function checkQueues({ name, istreams }: Manifest, before: Manifest | undefined): void {
  for (const [stream, { backPressure: to }] of Object.entries(istreams)) {
    const from = before?.istreams[stream]?.backPressure
    if (from === undefined || isQueueMode(from) === isQueueMode(to)) continue
    throw refuse(
      'ERR_BACK_PRESSURE_FIXED',
      `Cannot deploy '${name}': the back-pressure of its input '${stream}' is '${from}' and cannot become '${to}' while the function is there, since what waits could not move along. ` +
        `Remove it first (\`concord fn rm ${name}\`), or deploy it by another name.`,
    )
  }
}

/** Refuses a cycle whose inputs all block: once it is full, it stops for good. */
export function checkCycles(changed: Manifest, live: readonly Manifest[]): void {
  const all = [...live.filter(({ name }) => name !== changed.name), changed]
  const path = blockingPath(changed, changed.name, all, new Set())
  if (path === undefined) return
  throw refuse(
    'ERR_CYCLE_BLOCKS',
    `Cannot deploy '${changed.name}': it would close the cycle ${[changed.name, ...path].join(' → ')}, in which every input blocks, so that it stops for good once it is full. ` +
      "Give one of its inputs another back-pressure ('enqueue', 'dropHead', 'dropTail', 'none').",
  )
}

/** The path of functions and streams from `from` to the function `goal` over blocking inputs. */
function blockingPath(
  from: Manifest,
  goal: string,
  all: readonly Manifest[],
  seen: Set<string>,
): string[] | undefined {
  if (seen.has(from.name)) return undefined
  seen.add(from.name)
  for (const stream of from.ostreams) {
    for (const reader of all) {
      if (reader.istreams[stream]?.backPressure !== 'block') continue
      const rest = reader.name === goal ? [] : blockingPath(reader, goal, all, seen)
      if (rest !== undefined) return [stream, reader.name, ...rest]
    }
  }
  return undefined
}
