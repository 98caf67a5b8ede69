/**
 * VersionText: which version of a function answers, and which one is beside it or on its way, for people.
 * @module
 */
import type { FunctionSummary } from '../api.ts'

export function versionText({ version, live = version, canaryPercent, state }: FunctionSummary): string {
  if (live === version) return `v${version}`
  if (canaryPercent !== undefined) return `v${live}, canary v${version} at ${canaryPercent} %`
  return state === 'shadow' ? `v${live}, shadow v${version}` : `v${live} → v${version}`
}
