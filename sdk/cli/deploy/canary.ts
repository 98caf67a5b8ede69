/**
 * Canary: the options of a deploy whose version first gets a share of the keys, and watching it until it has all keys
 * or none.
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import type { DeployAnswer, VersionSummary } from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { canaryStepsDefault } from '../../manifest/limits.ts'
import type { CliErrorCode } from '../errors.ts'
import type { Project } from '../project/project-shape.ts'
import { note, Watched } from '../terminal.ts'
import { sidesText, waitOf, waitText } from '../text/canary-text.ts'
import { Waves } from './rolling.ts'

const pollMs = 500

export interface CanaryOptions {
  /** The first step, in percent of the keys; true: as the manifest says, or the default. */
  readonly canary?: number | true
  /** The duration of each step, in seconds. */
  readonly bake?: number
  /** The share of the records for which it may produce other outputs. */
  readonly maxDiff?: number
}

/** `10%` or `10`. */
export function percentOf(text: string): number {
  const percent = Number(text.replace(/\s*%$/, ''))
  if (percent >= 0.1 && percent <= 50) return percent
  throw new CodedError<CliErrorCode>(
    'ERR_USAGE',
    `'${text}' is no part of the keys: expected 0.1% to 50%, as --canary 10%; behind the last step the version has them all`,
  )
}

/** `2%` or `2`; returned as a share of 1. */
export function shareOf(text: string): number {
  const percent = Number(text.replace(/\s*%$/, ''))
  if (/\d/.test(text) && percent >= 0 && percent <= 100) return percent / 100
  throw new CodedError<CliErrorCode>(
    'ERR_USAGE',
    `'${text}' is no share: expected 0% to 100%, as --max-diff 2%`,
  )
}

/** Options win over the project's file. */
export function withCanary(project: Project, { canary, bake, maxDiff }: CanaryOptions): Project {
  if (canary === undefined && bake === undefined && maxDiff === undefined) return project
  const written = project.manifest as { rollout?: { canary?: { steps?: number[] } } }
  if (canary === undefined && written.rollout?.canary === undefined)
    throw new CodedError<CliErrorCode>(
      'ERR_USAGE',
      maxDiff === undefined
        ? `--bake ${bake} says how long the version is looked at as a canary or a shadow, and it is to be neither: add --canary or --shadow, or 'rollout' to the project's file`
        : `--max-diff is a rule for a canary, and the version is to be none: add --canary, or 'rollout.canary' to the project's file; before it takes a live record its gate judges it ('gate.maxDiff')`,
    )
  const rules = written.rollout?.canary ?? {}
  const steps = rules.steps ?? canaryStepsDefault
  const from = typeof canary === 'number' ? { steps: [canary, ...steps.filter((step) => step > canary)] } : {}
  const rollout = {
    ...written.rollout,
    canary: {
      ...{ ...rules, ...from },
      ...(bake !== undefined && { bakeMs: Math.round(bake * 1000) }),
      ...(maxDiff !== undefined && { maxDiff }),
    },
  }
  return { ...project, manifest: { ...written, rollout } }
}

interface Clock {
  readonly nowMs: () => number
  readonly sleep: (ms: number) => Promise<unknown>
}

/**
 * Shows how the canary does until it is judged, and then its waves, if it has any.
 * @returns The function, once the version has all keys.
 * @throws {CodedError} ERR_FUNCTION_FAILED, with the reason, if the version before stays; ERR_SUPERSEDED.
 */
export function watchCanary(
  client: ConcordClient,
  deployed: Pick<DeployAnswer, 'name' | 'version'>,
  clock: Clock = { nowMs: Date.now, sleep: setTimeout },
): Promise<VersionSummary> {
  const watched = new Watched()
  return untilJudged(client, deployed, watched, clock).finally(() => watched.clear())
}

async function untilJudged(
  client: ConcordClient,
  { name, version }: Pick<DeployAnswer, 'name' | 'version'>,
  watched: Watched,
  { nowMs, sleep }: Clock,
): Promise<VersionSummary> {
  const waves = new Waves((wave, text) => note(`${wave.padEnd(7)} ${text}`))
  for (;;) {
    const detail = await client.inspect(name)
    const { canary } = detail
    if (canary?.version !== version) watched.clear()
    if (canary?.version === version) {
      const { percent, sinceMs, bakeMs } = canary
      const left = Math.ceil((sinceMs + bakeMs - nowMs()) / 1000)
      const time = left > 0 ? `${left} s left`.padEnd(10) : `${waitText(canary)};`
      const hasRecords = canary.canary.records + canary.control.records > 0
      const topic = `${percent} ${hasRecords} ${left > 0 ? 'bakes' : waitOf(canary).wait}`
      watched.look(`${`${percent} %`.padEnd(7)} ${time} ${sidesText(canary)}`, topic, nowMs())
    } else if (detail.rolling?.version === version) waves.see(detail.rolling)
    else {
      const found = (await client.versions(name)).find((one) => one.version === version)
      if (found?.state === 'live') {
        if (found.untried === true)
          note(`        v${version} is untried: ${found.reason}; 'concord fn rollback ${name}' goes back`)
        return found
      }
      if (found?.state === 'failed')
        throw new CodedError<CliErrorCode>(
          'ERR_FUNCTION_FAILED',
          `${name} v${version} is rolled back, v${detail.version} runs as before: ${found.reason ?? 'nothing was said'}`,
        )
      if (detail.version !== version)
        throw new CodedError<CliErrorCode>(
          'ERR_SUPERSEDED',
          `${name} v${version} was replaced by v${detail.version} before it was judged: somebody else deployed meanwhile`,
        )
    }
    await sleep(pollMs)
  }
}
