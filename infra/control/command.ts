/**
 * Command: how a command to a runner is encoded. An assignment of many instances exceeds a NATS message and repeats
 * itself, so beyond `plainBytesMax` it is compressed, to about a twentieth.
 * @module
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import type { TaskCommand } from './messages/assignment.ts'

const plainBytesMax = 128 * 1024
/** The most that a runner unpacks. */
const unpackedBytesMax = 64 * 1024 * 1024
/** The first byte of gzip; no JSON text begins with it. */
const gzipMagic = 0x1f

export function encodeCommand(command: TaskCommand): Uint8Array {
  const plain = Buffer.from(JSON.stringify(command))
  return plain.length <= plainBytesMax ? plain : gzipSync(plain, { level: 1 })
}

/** @returns Undefined if the bytes are not a command. */
export function decodeCommand(bytes: Uint8Array): TaskCommand | undefined {
  try {
    const plain =
      bytes[0] === gzipMagic ? gunzipSync(bytes, { maxOutputLength: unpackedBytesMax }) : Buffer.from(bytes)
    const command = JSON.parse(plain.toString('utf8')) as TaskCommand
    const sound =
      typeof command.leaderEpoch === 'number' && command.kind === 'assign' && command.assignment.schema === 3
    return sound ? command : undefined
  } catch {
    return undefined
  }
}
