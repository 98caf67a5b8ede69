import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail, Instance } from '../../api/index.ts'
import { detailText } from './function-text.ts'

test('detailText shows which packed instances are one process', () => {
  const counts = { restarts: 0, recordsIn: 0, recordsOut: 0, errors: 0, stateEntries: 0 }
  const seat = (id: string, taskId?: string) =>
    ({ id, taskId, hostname: 'here', pid: 7, state: 'running', version: 1, ...counts }) as Instance
  const instances = [seat('f-0', 'task-1'), seat('f-1', 'task-2'), seat('f-2', 'task-1'), seat('f-3')]
  const text = detailText({
    manifest: {
      istreams: {},
      ostreams: [],
      onError: 'fail',
      resources: { cpus: 1, memMib: 64, diskMib: 0 },
      instancesPerRunner: 2,
      limits: { heapMib: 64 },
    },
    bundleSha256: '',
    deployedAtMs: 0,
    ledger: [],
    metrics: [],
    instances,
  } as unknown as FunctionDetail)
  assert.match(text, /ERRORS +ENTRIES +HEAP/) // a key may have several
  const rows = text.slice(text.indexOf('RUNNER')).split('\n').slice(1)
  assert.deepEqual(
    rows.map((row) => row.replaceAll(/ +/g, ' ')),
    ['task-1 here 7 - f-0 f-2', 'task-2 here 7 - f-1'],
  )
})

test('detailText shows how old checkpoints are by the clocks of their machines, and of an earlier gateway never less than nothing', () => {
  const sizes = { storedBytes: 1, writtenBytes: 1, writtenBytesTotal: 1, made: 1, failed: 0, pauseMs: 0 }
  const seat = (id: string, more: object) =>
    ({ id, state: 'running', version: 1, checkpoint: { ...sizes, ...more } }) as Instance
  const atMs = Date.now() + 3_600_000
  const text = detailText({
    manifest: { istreams: {}, ostreams: [], onError: 'fail', resources: {}, limits: { heapMib: 64 } },
    ...{ bundleSha256: '', deployedAtMs: 0, ledger: [], metrics: [] },
    instances: [seat('f-0', { atMs, ageMs: 5_200 }), seat('f-1', { atMs })],
  } as unknown as FunctionDetail)
  const rows = text.slice(text.indexOf('CHECKPOINT')).split('\n').slice(1, 3)
  assert.deepEqual(
    rows.map((row) => /^(\S+) +(\S+ s ago)/.exec(row)?.slice(1)),
    [
      ['f-0', '5.2 s ago'],
      ['f-1', '0.0 s ago'],
    ],
  )
})

test('detailText shows the memory of each runner by account with its bound, and each heap with its limit', () => {
  const mib = 2 ** 20
  const accounts = { process: 98, isolates: 41, state: 12, tape: 16, assets: 0, buffers: 24, rest: 21 }
  const memory = {
    boundBytes: 256 * mib,
    accounts: Object.fromEntries(Object.entries(accounts).map(([name, size]) => [name, size * mib])),
  }
  const counts = { restarts: 0, recordsIn: 0, recordsOut: 0, errors: 0, stateEntries: 0 }
  const seat = (index: number, taskId: string) =>
    ({
      ...{ id: `f-${index}`, taskId, state: 'running', version: 1, ...counts },
      ...{ rssBytes: 212 * mib, heapBytes: 20 * mib, memory },
    }) as Instance
  const resources = { cpus: 1, memMib: 256, diskMib: 0 }
  const text = detailText({
    manifest: { istreams: {}, ostreams: [], onError: 'fail', resources, limits: { heapMib: 64 } },
    ...{ bundleSha256: '', deployedAtMs: 0, ledger: [], metrics: [] },
    instances: [seat(0, 'a'), seat(1, 'b'), seat(2, 'b')],
  } as unknown as FunctionDetail)
  const table = text.slice(text.indexOf('MEMORY, MIB')).split('\n\n')[0]!.split('\n')
  assert.deepEqual(
    table.map((row) => row.split(/ +/).join(' ')),
    [
      'MEMORY, MIB IN USE BOUND PROCESS ISOLATES STATE TAPE ASSETS BUFFERS REST',
      'f-0 212 256 98 41 12 16 0 24 21',
      'b 212 256 98 41 12 16 0 24 21',
    ],
  )
  assert.match(text, /f-0 .* 20 of 64 MiB +212 of 256 MiB/)
})

test('detailText says when an instance last ended or failed, whether it works again, and which timers it gave up', () => {
  const counts = { restarts: 0, recordsIn: 0, recordsOut: 0, errors: 1, stateEntries: 0 }
  const agoMs = (ms: number) => Date.now() - ms
  const lastError = {
    ...{ name: 'Error', message: 'no', stack: '', at: 'f.ts:1:2', timeMs: agoMs(125_000) },
    timer: { partition: 0, key: 'tick', timeMs: 5 },
  }
  const instances = [
    {
      ...{ id: 'f-0', state: 'running', version: 1, ...counts, lastError },
      lastExit: { reason: 'recordBroke', message: 'too long', atMs: agoMs(3 * 3600_000) },
      timersDropped: { skipped: 2, deadLettered: 1 },
    },
    {
      ...{ id: 'f-1', state: 'backingOff', version: 1, ...counts },
      lastExit: { reason: 'memory', message: 'too much', atMs: agoMs(5_000) },
    },
  ] as unknown as Instance[]
  const resources = { cpus: 1, memMib: 256, diskMib: 0 }
  const text = detailText({
    manifest: { istreams: {}, ostreams: [], onError: 'fail', resources, limits: { heapMib: 64 } },
    ...{ bundleSha256: '', deployedAtMs: 0, ledger: [], metrics: [], instances },
  } as unknown as FunctionDetail)
  assert.match(text, /^f-0: timers given up: 2 skipped, 1 deadLettered$/m)
  assert.match(text, /^f-0 last ended 3 h ago \(\S+Z\), and has worked since: recordBroke: too long$/m)
  assert.match(text, /^f-0 last error, 2 min ago \(\S+Z\): Error: no at f\.ts:1:2 \(timer 'tick'\)$/m)
  assert.match(text, /^f-1 last ended \d s ago \(\S+Z\): memory: too much$/m)
})

test('detailText says what figures lack: the last records of a killed gateway, and the counts of earlier instances', () => {
  const resources = { cpus: 1, memMib: 256, diskMib: 0 }
  const row = { stream: 'words', sent: 5, processed: 5, dropped: {}, inFlight: 0, unaccounted: 0 }
  const text = detailText({
    manifest: { istreams: {}, ostreams: [], onError: 'fail', resources, limits: { heapMib: 64 } },
    ...{ bundleSha256: '', deployedAtMs: 0, ledger: [row], settling: ['gateway-1'], instances: [] },
    ...{ metrics: [{ name: 'hits', kind: 'count', sum: 7 }], metricsSinceMs: 0 },
  } as unknown as FunctionDetail)
  assert.match(text, /words +5 .*\nWhat gateway-1 sent last may follow: nothing is heard of it/)
  assert.match(text, /hits +7\nCounted since the start of its instance, at 1970-01-01T00:00:00.000Z\./)
})

test('detailText marks what was sent as an upper bound where what is unaccounted is one', () => {
  const resources = { cpus: 1, memMib: 256, diskMib: 0 }
  const row = { sent: 26, processed: 7, dropped: {}, inFlight: 0, lagMs: 0, unaccounted: 19 }
  const text = detailText({
    manifest: { istreams: {}, ostreams: [], onError: 'fail', resources, limits: { heapMib: 64 } },
    ...{ bundleSha256: '', deployedAtMs: 0, metrics: [], instances: [] },
    ledger: [
      { stream: 'a', ...row, unaccountedIsAtMost: true },
      { stream: 'b', ...row },
    ],
  } as unknown as FunctionDetail)
  assert.match(text, /^a +≤ 26 +7 +0 +0 +0 +≤ 19$/m)
  assert.match(text, /^b +26 +7 +0 +0 +0 +19$/m)
})
