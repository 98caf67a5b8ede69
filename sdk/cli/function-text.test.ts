import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail, Instance } from '../api.ts'
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
  const rows = text.slice(text.indexOf('RUNNER')).split('\n').slice(1)
  assert.deepEqual(
    rows.map((row) => row.replaceAll(/ +/g, ' ')),
    ['task-1 here 7 - f-0 f-2', 'task-2 here 7 - f-1'],
  )
})

test('detailText tells the memory of each runner by account, beside its bound, and each heap beside its own', () => {
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
