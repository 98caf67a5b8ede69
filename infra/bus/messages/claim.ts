/**
 * Claim: an owner tells the producers, and other owners of the same consumer, which partitions it owns.
 * @module
 */
import { jsonBytes } from '../../json.ts'

const decoder = new TextDecoder()

export interface Claim {
  readonly schema: 1
  readonly consumer: string
  readonly owner: string
  readonly epoch: number
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

/** One claim for each name and epoch under which partitions are owned. */
export function claimsOf(
  owner: string,
  partitions: Iterable<{
    readonly consumer: string
    readonly stream: string
    readonly partition: number
    readonly epoch: number | undefined
  }>,
): Claim[] {
  const claims = new Map<string, Claim & { partitions: Record<string, number[]> }>()
  for (const { consumer, stream, partition, epoch } of partitions) {
    if (epoch === undefined) continue
    const key = `${consumer} ${epoch}`
    const claim = claims.get(key) ?? { schema: 1, consumer, owner, epoch, partitions: {} }
    claim.partitions[stream] = [...(claim.partitions[stream] ?? []), partition]
    claims.set(key, claim)
  }
  return [...claims.values()]
}

export function encodeClaim(claim: Claim): Uint8Array {
  return jsonBytes(claim)
}

/** @returns Undefined if it is not a claim. */
export function readClaim(bytes: Uint8Array): Claim | undefined {
  if (bytes.length === 0) return undefined // somebody only listens: no error has to be made of that
  try {
    const claim = JSON.parse(decoder.decode(bytes)) as Claim
    const isClaim = claim.schema === 1 && typeof claim.epoch === 'number'
    return isClaim && Object.values(claim.partitions).every(Array.isArray) ? claim : undefined
  } catch {
    return undefined
  }
}

/** The epochs under which the partitions of a claim are owned. */
export function epochsIn(
  { partitions }: Claim,
  name: string,
  owned: ReadonlyMap<string, { readonly consumer: string; readonly epoch: number | undefined }>,
): number[] {
  return Object.entries(partitions).flatMap(([stream, list]) =>
    list.flatMap((p) => {
      const found = owned.get(`${stream}.${p}`)
      return found?.consumer === name ? (found.epoch ?? []) : []
    }),
  )
}
