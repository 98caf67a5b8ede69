/**
 * Reference (a): `node bare-main.ts FUNCTION STORE RECORDS [ENV]`: the same function in a bare loop of Node over the same frames: no
 * isolate, no NATS. STORE is `map`, or `arena`: Concord's own state store, committed after each record.
 * @module
 */
import { frameBytesAimed, headerBytesV1, recordBytes, writeRecord } from '../../../sdk/frame.ts'
import type { FunctionDefinition } from '../../../sdk/index.ts'
import { arenaStore } from '../load/stores.ts'
import { makeTape, partitions, plannedRecords } from '../load/workload.ts'
import { mapContext, storeContext } from './contexts.ts'
import { walkFrame } from './frame-walk.ts'

/** What it says. */
export interface BareReport {
  readonly records: number
  readonly seconds: number
  readonly cpuSeconds: number
}

const [functionFile, store] = process.argv.slice(2, 4) as [string, 'map' | 'arena']
const { default: definition } = (await import(functionFile)) as { default: FunctionDefinition }
const records = Number(process.argv[4])
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
  env: JSON.parse(process.argv[5] ?? '{}') as Record<string, string>,
}
const afterRecord = store === 'map' ? () => undefined : () => arenas[at.partition]!.commit()

const cpuBefore = process.cpuUsage()
const startMs = performance.now()
for (let done = 0, i = 0; done < planned; i++) {
  const { bytes, count, partition } = tape[i % tape.length]!
  at.partition = partition
  walkFrame(bytes, count, definition.processRecord!, ctx, afterRecord)
  done += count
}
const seconds = (performance.now() - startMs) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
const report: BareReport = { records: planned, seconds, cpuSeconds: (user + system) / 1e6 }
console.log(JSON.stringify(report))

/** One from each in turn. */
function shuffled<T>(a: readonly T[], b: readonly T[]): T[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => [a[i], b[i]])
    .flat()
    .filter((frame) => frame !== undefined)
}
