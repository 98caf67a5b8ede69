/**
 * Token: a secret with a name in front and a checksum at the end, so that a scanner of leaked secrets, or we, can tell
 * one from any other text without asking a server.
 *
 *   concord_ + 43 characters (32 random bytes, base 62) + 6 characters (CRC-32 of what stands before, base 62)
 * @module
 */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

const prefix = 'concord_'
const secretChars = 43
const checksumChars = 6
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export function makeToken(bytes: Uint8Array = randomBytes(32)): string {
  const body = prefix + base62(BigInt(`0x${Buffer.from(bytes).toString('hex')}`), secretChars)
  return body + checksum(body)
}

/** Whether this is a complete, unchanged token. */
export function isToken(text: string): boolean {
  const body = text.slice(0, -checksumChars)
  return /^concord_[0-9A-Za-z]{49}$/.test(text) && text.slice(-checksumChars) === checksum(body)
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), checksumChars)
}

function base62(value: bigint, chars: number): string {
  let text = ''
  for (let rest = value; text.length < chars; rest /= 62n) text = alphabet[Number(rest % 62n)] + text
  return text
}
