/**
 * Origin: the slot of an instance or an ingest in frame headers: 16 hex digits.
 * @module
 */
import { createHash } from 'node:crypto'

export function originOf(namespace: string, name: string, index: number | string): string {
  return createHash('sha256').update(`${namespace}/${name}/${index}`).digest('hex').slice(0, 16)
}
