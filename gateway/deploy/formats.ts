/**
 * Formats: whether a version can read the existing state (docs/design/0032-migrate.md).
 * @module
 */
import type { VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'

/**
 * @param format The format of the existing state.
 * @param next The version to deploy.
 * @param isMigrating Whether some of that state is still in an earlier format.
 * @throws {CodedError} ERR_VERSION_INCOMPATIBLE
 */
export function checkFormat(
  { name }: Pick<LiveFunction, 'name'>,
  format: number,
  {
    stateFormat: own = 1,
    migrates,
    version,
  }: Pick<VersionDocument, 'migrates' | 'stateFormat'> & { readonly version?: number | undefined },
  isMigrating: boolean,
): void {
  const which = version === undefined ? 'this version' : `v${version}`
  if (own < format)
    throw refuse(
      'ERR_VERSION_INCOMPATIBLE',
      `Cannot make ${which} of '${name}' live: it cannot read the state, which v${format} has migrated. Deploy its code anew, with a migrate that converts what v${format} has made.`,
    )
  if (isMigrating && migrates !== true)
    throw refuse(
      'ERR_VERSION_INCOMPATIBLE',
      `Cannot let ${which} of '${name}' follow: some of the state is still in the format of a version before v${format}, and it has no migrate. Keep the one of v${format}, which has to leave alone what it has made already, or wait until \`concord fn inspect ${name}\` shows that nothing is left to migrate.`,
    )
}

/**
 * The version whose state the author's `migrate` will be given too, if the version has other code: state that the
 * live version has migrated.
 */
export function migratesAfter(
  format: number,
  migrates: boolean,
  isSameCode: boolean,
): Pick<DeployAnswer, 'migratesAfter'> {
  return migrates && format !== 1 && !isSameCode ? { migratesAfter: format } : {}
}

/**
 * Refuses a canary with rolling waves if the version migrates state: a promoted canary is removed from the instances
 * whose wave has not come, and the state that it migrated there would be unreadable.
 * @throws {CodedError} ERR_VERSION_INCOMPATIBLE
 */
export function checkRollout({ name, rollout }: Pick<Manifest, 'name' | 'rollout'>): void {
  if (rollout?.canary === undefined || rollout.rolling === undefined) return
  throw refuse(
    'ERR_VERSION_INCOMPATIBLE',
    `Cannot let this version of '${name}' be a canary and then roll: it has a migrate, and what it writes of its keys as a canary would be lost in instances that wait for their wave. Leave out --canary (rollout.canary) or --rolling (rollout.rolling).`,
  )
}
