/**
 * Claim: an owner tells the producers and the other owners of a consumer which partitions are its own.
 * @module
 */

export interface Claim {
  readonly schema: 1
  readonly consumer: string
  readonly owner: string
  readonly epoch: number
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

/** One claim for each epoch under which something is owned. */
export function claimsOf(
  consumer: string,
  owner: string,
  partitions: Iterable<{
    readonly stream: string
    readonly partition: number
    readonly epoch: number | undefined
  }>,
): Claim[] {
  const claims = new Map<number, Claim & { partitions: Record<string, number[]> }>()
  for (const { stream, partition, epoch } of partitions) {
    if (epoch === undefined) continue
    const claim = claims.get(epoch) ?? { schema: 1, consumer, owner, epoch, partitions: {} }
    claim.partitions[stream] = [...(claim.partitions[stream] ?? []), partition]
    claims.set(epoch, claim)
  }
  return [...claims.values()]
}

export function encodeClaim(claim: Claim): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(claim))
}

/** @returns Undefined for what is none. */
export function readClaim(bytes: Uint8Array): Claim | undefined {
  try {
    const claim = JSON.parse(new TextDecoder().decode(bytes)) as Claim
    return claim.schema === 1 && typeof claim.epoch === 'number' && typeof claim.partitions === 'object'
      ? claim
      : undefined
  } catch {
    return undefined
  }
}
