/**
 * Remarks: says on standard error what a deploy or a scale changes that its author may not expect.
 * @module
 */

import { setTimeout as sleep } from 'node:timers/promises'
import type { DeployAnswer } from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { note } from '../terminal.ts'
import { lateText } from '../text/late-text.ts'
import { cut } from '../width.ts'

const messageShown = 60

/** Names a shadow or canary that there will not be, settings that the manifest no longer contains, assets that get other bytes, memory that may be short, and moved partitions that return to their usual place. */
export function tellOfChanges(answer: DeployAnswer): void {
  const { name, reset = [], replaced = [], lapsed = [], tight, noCanary, noShadow } = answer
  const untried = { shadow: noShadow, canary: noCanary }
  for (const [what, why] of Object.entries(untried))
    if (why !== undefined) note(`        no ${what}, the version gets all keys at once: ${why}`)
  for (const change of reset) note(`        ${changeText(change)}`)
  for (const one of replaced) note(`        ${replacedText(one)}`)
  if (tight !== undefined)
    note(
      `        memory of ${tight.memMib} MiB may be short once its state is full: give it ${tight.enough} (resources.memMib), or lower limits.stateMib or limits.heapMib`,
    )
  if (lapsed.length === 0) return
  const back = lapsed.map(({ partition, instance }) => `${partition} (was on ${instance})`).join(', ')
  note(
    `        partitions moved by hand return to their own instances, since new ones take over: ${back}; 'concord fn move ${name}' moves them again`,
  )
}

/**
 * A rollout belongs to one version and mostly comes from an option, so for the next version without one the fact is
 * enough.
 */
export function changeText({ what, was, is }: NonNullable<DeployAnswer['reset']>[number]): string {
  if (/^rollout\b/.test(what) && is === 'nothing') return `without ${what}, which the version before had`
  return `${what} is ${is === 'nothing' ? 'not set' : `${is} again`}: ${whoSaid(what)} ${was}`
}

/** Who said the value that a setting had. The code may contain `onError` too, and a rollout is said by options (`--bake`). */
function whoSaid(what: string): string {
  if (/^onError\b/.test(what)) return 'neither the code nor the manifest says'
  return /^rollout\b/.test(what) ? 'the last deploy said' : 'the manifest no longer says'
}

/** A deploy with the bytes of an earlier version may mean the old file of a folder, where a newer one was pushed. */
export function replacedText({ asset, had, again }: NonNullable<DeployAnswer['replaced']>[number]): string {
  const { version, message, author } = had
  const said = [message && cut(message.split('\n', 1)[0]!, messageShown), author && `by ${author}`]
    .filter(Boolean)
    .join(', ')
  const came = `those it has came with v${version}${said && ` (${said})`}`
  return again === undefined
    ? `asset ${asset} gets other bytes: ${came}`
    : `asset ${asset} goes back to the bytes of v${again}: ${came}; a deploy without the file keeps them`
}

/** After a deploy that failed: says who waits in the end for a function that does not run, because they share a stream. */
export async function tellOfWaiting(client: ConcordClient, name: string): Promise<void> {
  const [{ manifest, instancesRunning }, { functions }] = await Promise.all([
    client.inspect(name),
    client.topology(),
  ])
  if (instancesRunning > 0) return
  for (const [stream, { backPressure }] of Object.entries(manifest.istreams)) {
    const others = functions.filter((one) => one.name !== name && one.istreams.includes(stream))
    if (backPressure !== 'block' || others.length === 0) continue
    const names = others.map((one) => one.name).join(', ')
    note(
      `        records of ${stream} wait for ${name} from now on, and once 8 MiB do, ${names} get${others.length === 1 ? 's' : ''} none either: deploy a version that runs, or 'concord fn rm ${name}'`,
    )
  }
}

const glanceMs = 1_500
const lookEveryMs = 100

/**
 * Waits for a moment to see whether the scheduler can place the instances: it knows why one waits once it has seen
 * offers.
 * @returns Why an instance of the version waits; undefined if none waits so far.
 */
export async function whyItWaits(
  client: ConcordClient,
  { name, version }: Pick<DeployAnswer, 'name' | 'version'>,
): Promise<string | undefined> {
  const untilMs = performance.now() + glanceMs
  for (;;) {
    const detail = await client.inspect(name)
    const { instances = [], noScheduler } = detail
    const ours = instances.filter((instance) => instance.version === version)
    const waiting = ours.filter(({ state }) => state === 'waiting')
    const isTaken = ours.length > 0 && waiting.length === 0
    if (isTaken && noScheduler === undefined) return undefined
    if (performance.now() > untilMs)
      return lateText(detail, waiting.find(({ why }) => why !== undefined)?.why)
    await sleep(lookEveryMs)
  }
}
