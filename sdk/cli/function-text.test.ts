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
