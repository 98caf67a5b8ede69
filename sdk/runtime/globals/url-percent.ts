/**
 * Percent-encoding of the URL Standard, section 1.3.
 * @see https://url.spec.whatwg.org/#percent-encoded-bytes
 * @module
 */
import { utf8Encode, utf8Read } from '../realm/utf8.ts'

/** Encodes control characters, characters beyond ASCII, and those listed. */
export type EncodeSet = ReadonlySet<string>

const fragment = new Set(' "<>`')
const query = new Set(' "#<>')
const path = new Set([...query, ...'?^`{}'])
const userinfo = new Set([...path, ...'/:;=@[\\]|'])
const component = new Set([...userinfo, ...'$%&+,'])

export const encodeSets = {
  control: new Set<string>(),
  fragment,
  query,
  specialQuery: new Set([...query, "'"]),
  path,
  userinfo,
  form: new Set([...component, ..."!'()~"]),
} as const satisfies Record<string, EncodeSet>

export function percentEncode(text: string, set: EncodeSet): string {
  let encoded = ''
  for (const character of text) {
    const code = character.codePointAt(0)!
    encoded += code > 0x7e || code < 0x20 || set.has(character) ? percentBytes(character) : character
  }
  return encoded
}

function percentBytes(character: string): string {
  let encoded = ''
  for (const byte of utf8Encode(character)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  return encoded
}

/** Decodes `%XX` to bytes, and these as UTF-8; an invalid `%` stays. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  const bytes = utf8Encode(text)
  let end = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    const value = byte === 0x25 ? hexByte(bytes, i + 1) : -1
    if (value >= 0) i += 2
    bytes[end++] = value >= 0 ? value : byte
  }
  return utf8Read(bytes, 0, end)
}

function hexByte(bytes: Uint8Array, at: number): number {
  const high = hexDigit(bytes[at])
  const low = hexDigit(bytes[at + 1])
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number | undefined): number {
  if (code === undefined) return -1
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
