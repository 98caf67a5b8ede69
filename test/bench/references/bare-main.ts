/**
 * Reference (a): `node bare-main.ts FUNCTION STORE RECORDS COLD [ENV]`: the same function in a bare loop of Node over the same frames: no
 * isolate, no NATS. STORE is `map`, or `arena`: Concord's own state store, committed after each record. The first COLD of its RECORDS are
 * told apart.
 * @module
 */

import type { FunctionDefinition } from '../../../sdk/index.ts'
import { frameBytesAimed, headerBytesV1, recordBytes, writeRecord } from '../../../sdk/wire/frame.ts'
import type { Stretch } from '../load/sink-main.ts'
import { arenaStore } from '../load/stores.ts'
import { makeTape, partitions, plannedRecords } from '../load/workload.ts'
import { mapContext, storeContext } from './contexts.ts'
import { walkFrame } from './frame-walk.ts'

export interface BareReport extends Stretch {
  readonly cpuSeconds: number
}

/** What it says. */
export interface BareLoopReport {
  readonly cold: BareReport
  readonly warm: BareReport
}

const [functionFile, store] = process.argv.slice(2, 4) as [string, 'map' | 'arena']
const { default: definition } = (await import(functionFile)) as { default: FunctionDefinition }
const [records, coldRecords] = process.argv.slice(4, 6).map(Number) as [number, number]
const tape = shuffled(makeTape(1, records / 2), makeTape(2, records / 2)) // what the two producers send
const planned = plannedRecords(tape, records)
const output = new Uint8Array(frameBytesAimed)
const view = new DataView(output.buffer)
let outputAt = headerBytesV1
const produce = (key: Uint8Array, value: Uint8Array): void => {
  if (outputAt + recordBytes(key.length, value.length) > frameBytesAimed) outputAt = headerBytesV1
  outputAt = writeRecord(output, view, outputAt, { key, value, timeMs: 0 })
}
const at = { partition: 0 }
const arenas = Array.from({ length: partitions }, arenaStore)
const ctx = {
  ...(store === 'map' ? mapContext(produce) : storeContext(arenas, at, produce)),
  env: JSON.parse(process.argv[6] ?? '{}') as Record<string, string>,
}
const afterRecord = store === 'map' ? () => undefined : () => arenas[at.partition]!.commit()

let done = 0
let next = 0
const report: BareLoopReport = { cold: stretchTo(coldRecords), warm: stretchTo(planned) }
console.log(JSON.stringify(report))

/** Goes on until so many records are done. */
function stretchTo(end: number): BareReport {
  const [before, cpuBefore, startMs] = [done, process.cpuUsage(), performance.now()]
  while (done < end) {
    const { bytes, count, partition } = tape[next++ % tape.length]!
    at.partition = partition
    walkFrame(bytes, count, definition.processRecord!, ctx, afterRecord)
    done += count
  }
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  return { records: done - before, seconds, cpuSeconds: (user + system) / 1e6 }
}

/** One from each in turn. */
function shuffled<T>(a: readonly T[], b: readonly T[]): T[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
    .flat()
    .filter((frame) => frame !== undefined)
}
