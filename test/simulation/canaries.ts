/**
 * Canaries: versions that are canaries first: good ones, and bad ones, which throw at every record by their
 * instances' measurements.
 *
 *   CN1. A bad canary that had records is never promoted.
 *   CN2. No runner is told of a step that is not stored (CY1).
 * @module
 */
import type { Assignment, CanaryAssignment } from '../../infra/control/messages/assignment.ts'
import type { FunctionDocument } from '../../infra/store/documents.ts'
import type { Action, State } from '../../scheduler/core/index.ts'
import { type Manifest, rolloutSchema } from '../../sdk/manifest/manifest.ts'
import { type CanaryReport, noEvidence, noSide } from '../../sdk/versions/canary.ts'
import type { Bug } from './bugs.ts'
import type { StoreModel } from './store.ts'
import { must } from './violation.ts'

/** Records that an instance has for each side as soon as it is at work. */
const records = 100
const rules = rolloutSchema.parse({ canary: { steps: [10, 50], bakeMs: 2_000, minRecords: 1 } })
const bad = 'bad-'

/** The same function, with a version that is to have a part of the keys first. */
export function withCanary(manifest: Manifest): Manifest {
  return { ...manifest, rollout: { ...manifest.rollout, ...rules } }
}

/** Of its bundle, by which a runner knows it. */
export const bundleOf = (version: number, isBad: boolean): string => `${isBad ? bad : ''}${version}`

/** What an instance says of it. */
export function measured(
  { version, step, bundleSha256 }: CanaryAssignment,
  state: 'preparing' | 'working',
  bugs: ReadonlySet<Bug> = new Set(),
): CanaryReport {
  const none = noEvidence()
  if (state === 'preparing') return { version, step, state, evidence: none }
  const throws = bundleSha256.startsWith(bad) && !bugs.has('hides-errors')
  const canary = { ...noSide(), records, errors: throws ? records : 0 }
  return { version, step, state, evidence: { ...none, canary, control: { ...noSide(), records } } }
}

/** CN1 */
export function judgePromotions({ wanted, tasks }: State, actions: readonly Action[]): void {
  for (const action of actions) {
    if (action.kind !== 'saveCanary' || action.canary.promoted !== true) continue
    const { document, versions } = wanted.functions.get(action.function)!
    const isBad = versions.get(action.canary.version)?.bundleSha256.startsWith(bad) === true
    const reports = [...tasks.values()].flatMap(({ beat }) => beat?.instances ?? [])
    const isWithSomebody = reports.some(
      ({ function: of, canary }) => of === action.function && canary?.version === action.canary.version,
    )
    // Its instances are out of reach, say: it is promoted untried.
    const hadNone = document.instances === 0 || (action.canary.untried === true && !isWithSomebody)
    must(
      !isBad || hadNone,
      'CN1',
      () => `${action.function} v${action.canary.version} throws at all its records, and is promoted`,
    )
  }
}

/** CN2, at the moment at which a runner is told. */
export function judgeSteps(store: StoreModel, { taskId, functions }: Assignment): void {
  for (const [name, { canary }] of Object.entries(functions)) {
    const document = store.get<FunctionDocument>('function', name)?.value
    if (canary === undefined || document?.version !== canary.version) continue // somebody has deployed another one meanwhile
    const at = document.canary?.version === canary.version ? document.canary : undefined
    must(
      at !== undefined && at.step >= canary.step,
      'CN2',
      () =>
        `${taskId} is told of step ${canary.step} of ${name} v${canary.version}, and ${at?.step ?? 'none'} is written down`,
    )
  }
}
