/**
 * VersionText: which version of a function is live, and which one is beside it or being rolled out, as text.
 * @module
 */
import type { DeployAnswer, FunctionDetail, FunctionSummary } from '../../api/index.ts'

export function versionText({ version, live = version, canaryPercent, state }: FunctionSummary): string {
  if (live === version) return `v${version}`
  if (canaryPercent !== undefined) return `v${live}, canary v${version} at ${canaryPercent} %`
  return state === 'shadow' ? `v${live}, shadow v${version}` : `v${live} → v${version}`
}

/** The result of a deploy or change. @param detail The function, if the command waited for it. */
export function becameText(
  { changed, version }: DeployAnswer,
  detail: FunctionDetail | undefined,
  already: string,
): string {
  if (!changed) return already
  if (detail === undefined) return 'will run'
  return detail.canary?.version === version ? 'is a canary now' : 'is running'
}
