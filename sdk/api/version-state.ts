/**
 * VersionState: how a version stands, as the API says.
 *
 *   `live`: seen to work last.
 *   `canary`: it has a part of the keys, and is judged.
 *   `rollingOut`: wanted, and not seen to work everywhere yet.
 *   `failed`: the one before was put back, `reason` says why; it stays so, also if it was wanted again and worked, unless that is now.
 *   `rolledBack`: somebody went back from it, `by` whom and `reason` say.
 *   `shadow`: it is given copies of what the one in force is given.
 *   `shadowed`: it was, and waits for `promote`.
 *   `replaced`: it has run.
 *   `withdrawn`: another one was wanted while it was a canary, came to some instances after others, or ran in a part of them only.
 *   `neverRan`: another one was deployed before it did.
 * @module
 */
import { z } from 'zod'

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
