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
