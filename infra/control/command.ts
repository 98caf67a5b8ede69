/**
 * Command: a command to a runner as it travels. An assignment of many instances is more than NATS takes in one message, and
 * says the same many times: beyond `plainBytesMax` it is compressed, to a twentieth or so.
 * @module
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import type { TaskCommand } from './messages.ts'

const plainBytesMax = 128 * 1024
/** What a runner unpacks at most. */
const unpackedBytesMax = 64 * 1024 * 1024
/** The first byte of what gzip has made; JSON has none that begins so. */
const gzipMagic = 0x1f

export function encodeCommand(command: TaskCommand): Uint8Array {
  const plain = Buffer.from(JSON.stringify(command))
  return plain.length <= plainBytesMax ? plain : gzipSync(plain, { level: 1 })
}

/** @returns Undefined for what is none. */
export function decodeCommand(bytes: Uint8Array): TaskCommand | undefined {
  try {
    const plain =
      bytes[0] === gzipMagic ? gunzipSync(bytes, { maxOutputLength: unpackedBytesMax }) : Buffer.from(bytes)
    const command = JSON.parse(plain.toString('utf8')) as TaskCommand
    const sound =
      typeof command.leaderEpoch === 'number' &&
      (command.kind === 'stop' || (command.kind === 'assign' && command.assignment.schema === 3))
    return sound ? command : undefined
  } catch {
    return undefined
  }
}
