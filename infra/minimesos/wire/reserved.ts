/**
 * What of an agent is reserved from its start, as its operator writes it: `cpus(web):2;mem(web):1024;ports(web):[31000-31099]`.
 * @module
 */
import { CodedError } from '../../../sdk/errors.ts'
import { keyOf } from './reservations.ts'
import { type Amount, type Resources, resources } from './resources.ts'

/** @throws {CodedError} ERR_BAD_OPTION if it cannot be parsed. */
export function parseReserved(text: string): Resources {
  const parts = text.split(';').filter((part) => part.trim() !== '')
  return resources(Object.fromEntries(parts.map(parsePart)))
}

function parsePart(part: string): [string, Amount] {
  const [, name, role, value = ''] = /^\s*([a-z]+)\(([^()\s]+)\)\s*:\s*(.+?)\s*$/.exec(part) ?? []
  const amount = amountOf(value)
  if (name !== undefined && role !== undefined && amount !== undefined)
    return [keyOf(name, [{ type: 'STATIC', role }]), amount]
  const expected = 'write name(role):amount;name(role):amount, for example cpus(web):2;mem(web):1024'
  throw new CodedError('ERR_BAD_OPTION', `Cannot read reservation '${part}': ${expected}`)
}

function amountOf(value: string): Amount | undefined {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value)
  if (!/^\[\s*\d+-\d+(\s*,\s*\d+-\d+)*\s*\]$/.test(value)) return undefined
  return [...value.matchAll(/(\d+)-(\d+)/g)].map((m) => ({ begin: Number(m[1]), end: Number(m[2]) }))
}
