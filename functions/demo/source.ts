/**
 * Source: where the demo's log lines come from: a file, plain or gzip, or the generator.
 * @module
 */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { linesOf } from 'concord/client'
import { generateTraffic } from './generator.ts'
import { type DemoOptions, UsageError } from './options.ts'

export interface Source {
  /** For people: "50,000 generated lines (seed 1)". */
  readonly name: string
  readonly lines: AsyncIterable<string> | Iterable<string>
  /** Which of the clients in the lines read so far are frauds; absent if nobody knows. */
  readonly labels?: ReadonlyMap<string, boolean>
}

/** @throws {UsageError} If the file cannot be read. */
export async function openSource({ input, records, seed }: DemoOptions): Promise<Source> {
  if (input !== undefined) return { name: input, lines: linesOf(await openFile(input)) }
  return {
    name: `${records.toLocaleString('en')} generated lines (seed ${seed})`,
    ...generateTraffic(seed, records),
  }
}

async function openFile(path: string): Promise<AsyncIterable<Uint8Array>> {
  const compressed = await isGzip(path)
  const file = createReadStream(path)
  return compressed ? pipeline(file, createGunzip(), () => {}) : file
}

/** Decided by the first two bytes, whatever the file is called. */
async function isGzip(path: string): Promise<boolean> {
  try {
    await using file = await open(path)
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2)
    return buffer[0] === 0x1f && buffer[1] === 0x8b
  } catch (cause) {
    throw new UsageError(`Cannot read --input ${path}: ${(cause as Error).message}`, { cause })
  }
}
