/**
 * Swap: which changes are allowed from one version of a function to the next, and how the next one takes over. Pure.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import { type AssetRefs, assetBytesOf } from '../manifest/assets.ts'
import {
  assetRoomMib,
  instancesPerRunnerOf,
  type Manifest,
  memorySoftShare,
  runnerMemMibMin,
} from '../manifest/manifest.ts'

/** The parts of a version that matter here. */
export interface Swappable {
  readonly manifest: Manifest
  readonly assets?: AssetRefs
  /** Absent: the code is not the same. */
  readonly bundleSha256?: string
}

/** The resources that an instance was given. */
export interface GivenResources {
  readonly cpus: number
  readonly memMib: number
  readonly diskMib: number
  readonly ports?: number | undefined
}

/**
 * Why a version cannot take over in a running instance of another one; undefined if it can.
 * @param given The resources of the instance.
 */
export function drainReason(
  { manifest: before, assets: assetsBefore = {}, bundleSha256: codeBefore }: Swappable,
  { manifest: after, assets = {}, bundleSha256: code }: Swappable,
  given: GivenResources,
): string | undefined {
  const { cpus, memMib, diskMib, ports = 0 } = after.resources
  const isMore = cpus > given.cpus || memMib > given.memMib || diskMib > given.diskMib
  if (isMore || ports > (given.ports ?? 0)) return 'it asks for more resources'
  // An instance keeps the resources that it was given. With other code, fewer can wait for its next start; with the
  // same code, fewer resources are all that was asked for.
  const isLess = cpus < given.cpus || memMib < given.memMib || diskMib < given.diskMib
  if (isLess && code !== undefined && code === codeBefore) return 'it asks for fewer resources'
  if (after.limits.stateMib !== before.limits.stateMib) return 'limits.stateMib has changed'
  if (inputsText(before) !== inputsText(after)) return 'its inputs have changed'
  const room = assetRoomMib({ ...before, resources: { ...before.resources, memMib: given.memMib } })
  if (assetBytesOf(assetsBefore, assets) > room * 2 ** 20)
    return 'its assets do not fit into memory beside those of the version before'
  const kept = ({ checkpoint, pack, instancesPerRunner, placement }: Manifest): string =>
    JSON.stringify([checkpoint, pack, instancesPerRunner, placement])
  return kept(before) === kept(after)
    ? undefined
    : 'checkpoint, pack, instancesPerRunner or placement has changed'
}

/**
 * Whether a version that cannot take over in an instance can do so in another instance beside it, which takes its
 * shares by handover. That needs all state to belong to shares of the same inputs.
 */
export function movesBeside(before: Swappable, after: Swappable, given: GivenResources): boolean {
  const inputs = Object.values(after.manifest.istreams)
  if (inputs.length === 0 || inputs.some(({ grouping }) => grouping === 'broadcast')) return false
  if (inputsText(before.manifest) !== inputsText(after.manifest)) return false
  if (before.manifest.checkpoint === false || after.manifest.checkpoint === false) return false
  return drainReason(before, after, given) !== undefined
}

/**
 * Why a version must not follow another one at all: the records or state that would be lost.
 * @param stateBytes The state of the fullest instance now.
 */
export function refusalReason(before: Manifest, after: Manifest, stateBytes: number): string | undefined {
  for (const [stream, { grouping }] of Object.entries(before.istreams)) {
    const input = after.istreams[stream]
    if (input === undefined)
      return `it reads '${stream}' no more, and what waits there for it would be lost. Deploy it under another name, or remove the function first (\`concord fn rm\`)`
    if (input.grouping !== grouping)
      return `it groups '${stream}' by ${input.grouping}, not ${grouping}, and its state lies where its records were. Deploy it under another name`
  }
  const mib = Math.ceil(stateBytes / 2 ** 20)
  const least = memMibFor(after, mib)
  if (mib > 0 && after.resources.memMib < Math.min(before.resources.memMib, least))
    return `resources.memMib is ${after.resources.memMib}, and an instance holds ${mib} MiB of state. Let it be at least ${least}`
  if (after.limits.stateMib < mib)
    return `limits.stateMib is ${after.limits.stateMib}, and an instance holds ${mib} MiB of state. Let it be at least that`
  return undefined
}

/** The least memory for an instance with so much state. */
function memMibFor(manifest: Manifest, stateMib: number): number {
  const runnerMib = instancesPerRunnerOf(manifest) === undefined ? runnerMemMibMin : 0
  return Math.ceil((stateMib + runnerMib) / memorySoftShare)
}

function inputsText({ istreams }: Manifest): string {
  return JSON.stringify(Object.entries(istreams).sort(([one], [other]) => (one < other ? -1 : 1)))
}
