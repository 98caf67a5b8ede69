/** The codes of errors of off-heap state, and who can fix each. */
import { type Blame, CodedError } from '../../errors.ts'
import { formatsVersion, magic } from './layout.ts'
import type { Roots } from './roots.ts'
import type { Slabs } from './slabs.ts'

export const arenaErrors = {
  /** `limits.stateMib` leaves no room for an entry. */
  ERR_STATE_FULL: 'function',
  /** Memory for state is being added. The record is undone and processed again, whatever its callback does. */
  ERR_STATE_GROWING: 'transient',
  /** A key or a value is longer than an entry can hold. */
  ERR_STATE_TOO_LARGE: 'function',
  /** State is in another version's format, which this version cannot read or has no `migrate` for. */
  ERR_STATE_MIGRATION: 'function',
  /** The memory for state contains no state, or has a format that this build cannot read. */
  ERR_STATE_FORMAT: 'platform',
} as const satisfies Record<string, Blame>
export type ArenaErrorCode = keyof typeof arenaErrors

export function arenaError(
  code: ArenaErrorCode,
  message: string,
  detail: Readonly<Record<string, unknown>> = {},
): CodedError<ArenaErrorCode> {
  return new CodedError(code, message, { detail })
}

/** More memory is coming: a callback that catches this error cannot prevent that its record is processed again. */
export function stateGrowing(attempted: string): Error {
  return arenaError(
    'ERR_STATE_GROWING',
    `Cannot ${attempted} in this call: memory is being added, and the record will be given again`,
  )
}

export function badFormat(foundMagic: number, foundVersion: number): Error {
  const found =
    foundMagic === magic ? `format ${foundVersion}` : `no arena, but 0x${(foundMagic >>> 0).toString(16)}`
  return arenaError(
    'ERR_STATE_FORMAT',
    `Cannot open state: found ${found}, expected format ${formatsVersion} or below: it was written by another version of Concord`,
  )
}

export function stateFull(
  attempted: string,
  { entries, bytes }: Pick<Roots, 'entries' | 'bytes'>,
  takes: number,
  { heldBytes, limitBytes, growing }: Slabs,
): Error {
  if (growing) return stateGrowing(attempted)
  return arenaError(
    'ERR_STATE_FULL',
    `Cannot ${attempted}: the partition holds ${entries} entries of ${bytes} bytes in ${takes} bytes of memory; with all others it takes ${heldBytes} of the ${limitBytes} that are allowed: delete entries, let them expire (ttlMs), or raise limits.stateMib`,
    { entries, bytes, heldBytes: takes, limitBytes },
  )
}
