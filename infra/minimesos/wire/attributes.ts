/**
 * Attributes of an agent, from `rack:r1;zone:z-a;weight:2;ids:[1-3]` to what an offer shows.
 * @module
 */
import { CodedError } from '../../../sdk/errors.ts'

/** @throws {CodedError} ERR_BAD_OPTION for a pair without a name or a value. */
export function parseAttributes(text: string): readonly unknown[] {
  return text
    .split(';')
    .filter((pair) => pair.trim() !== '')
    .map(parseAttribute)
}

function parseAttribute(pair: string): unknown {
  const [, name, value] = /^\s*([^:\s]+)\s*:\s*(.+?)\s*$/.exec(pair) ?? []
  if (name === undefined || value === undefined) {
    throw new CodedError('ERR_BAD_OPTION', `Cannot read attribute '${pair}': write name:value;name:value`)
  }
  if (/^-?\d+(\.\d+)?$/.test(value)) return { name, type: 'SCALAR', scalar: { value: Number(value) } }
  if (/^\[\s*\d+-\d+(\s*,\s*\d+-\d+)*\s*\]$/.test(value)) {
    const range = [...value.matchAll(/(\d+)-(\d+)/g)].map((m) => ({ begin: Number(m[1]), end: Number(m[2]) }))
    return { name, type: 'RANGES', ranges: { range } }
  }
  return { name, type: 'TEXT', text: { value } }
}
