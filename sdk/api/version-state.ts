/**
 * VersionState: the state of a version in the API.
 *
 *   `live`: the good version.
 *   `canary`: it has a share of the keys, and is judged.
 *   `rollingOut`: wanted, and not seen to work everywhere yet.
 *   `failed`: the version before was put back; `reason` says why. It stays `failed` even if it worked later, unless it is live now.
 *   `rolledBack`: a person rolled back from it; `by` and `reason` say who and why.
 *   `shadow`: it gets copies of the live version's records.
 *   `shadowed`: it was a shadow, and waits for `promote`.
 *   `replaced`: it was live before.
 *   `withdrawn`: another version was wanted while it was a canary, was rolling, or ran in only some instances.
 *   `neverRan`: another version was deployed before it ran.
 * @module
 */
import * as z from 'zod'

export const versionStateSchema = z.enum([
  'live',
  'rollingOut',
  'canary',
  'shadow',
  'shadowed',
  'failed',
  'replaced',
  'withdrawn',
  'rolledBack',
  'neverRan',
])
