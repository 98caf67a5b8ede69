/**
 * The process of `checkpoint`: `node checkpoint-main.ts KEYS`. Fills the arenas of 16 partitions with so many keys of 16
 * bytes and values of 64, and from then on answers each line `{"checkpoint"}` of its input with what a set costs and, if
 * asked for one, how long a checkpoint of all that has changed stops its writer.
 * @module
 */
import { createInterface } from 'node:readline'
import {
  type Arena,
  Capture,
  markAllDirty,
  OwnSlabs,
  openArena,
  pageBytes,
  Shadow,
  shadowBytes,
} from '../../../sdk/runtime/arena/index.ts'
import { keyOf, scattered } from './stores.ts'

export interface CheckpointSample {
  readonly stateBytes: number
  /** CPU microseconds of a set. */
  readonly setMicros: number
  /** How long the cut itself takes. */
  readonly cutMs?: number
  readonly pages?: number
}

const partitions = 16
const setsPerBatch = 1_000
const batches = 2_000
const keys = Number(process.argv[2])
const value = new Uint8Array(64)
const numbers = scattered(keys, setsPerBatch * batches)
const slabs = Array.from(
  { length: partitions },
  () => new OwnSlabs({ make: (bytes) => new SharedArrayBuffer(bytes) }),
)
const shadowOf = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(shadowBytes(bytes / pageBytes))
/** As large as all arenas will be. */
const shadow = shadowOf(keys * 140 + partitions * 2 ** 20)
const writer = new Shadow(shadow)
const arenas: Arena[] = slabs.map((each, partition) => openArena(each, { keeper: writer.of(partition) }))
for (let number = 0; number < keys; number++) set(number)
const stateBytes = slabs.reduce((sum, { heldBytes }) => sum + heldBytes, 0)

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const { checkpoint } = JSON.parse(line) as { checkpoint: boolean }
  console.log(JSON.stringify(checkpoint ? beside() : alone()))
}
process.exit(0)

function set(number: number): void {
  const arena = arenas[number % partitions]!
  arena.set(keyOf(number), value)
  arena.commit()
}

function batch(index: number): void {
  for (let i = index * setsPerBatch; i < (index + 1) * setsPerBatch; i++) set(numbers[i]!)
}

function alone(): CheckpointSample {
  const start = process.cpuUsage()
  for (let index = 0; index < batches; index++) batch(index)
  const { user, system } = process.cpuUsage(start)
  return { stateBytes, setMicros: (user + system) / (batches * setsPerBatch) }
}

/** All pages are in this checkpoint, and most are changed before the host has come to them. */
function beside(): CheckpointSample {
  const list = new Uint32Array(250)
  const bytes = new Uint8Array(250 * pageBytes)
  for (const each of slabs) markAllDirty(each)
  const capture = new Capture(shadow)
  const startMs = performance.now()
  capture.cut(slabs.map((each, partition) => [partition, each] as const))
  const cutMs = performance.now() - startMs
  let micros = 0
  let pages = 0
  let partition = 0
  for (let index = 0; index < batches; index++) {
    const start = process.cpuUsage()
    batch(index)
    const { user, system } = process.cpuUsage(start)
    micros += user + system
    if (partition === partitions) continue
    const count = capture.read(partition, list, bytes) // the host's work, which stops nobody
    pages += count
    if (count === 0) capture.end(partition++)
  }
  for (; partition < partitions; partition++) {
    for (let count = 1; count > 0; pages += count) count = capture.read(partition, list, bytes)
    capture.end(partition)
  }
  return { stateBytes, setMicros: micros / (batches * setsPerBatch), cutMs, pages }
}
