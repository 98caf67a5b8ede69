import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Home } from './home.ts'
import { readUpFile, UpRecord } from './up-file.ts'

test('UpRecord writes changes in order, and those that could not be written with the next one', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'up-file-'))
  t.after(() => rm(dir, { recursive: true }))
  const home = { up: join(dir, 'later', 'up.json') } as Home
  const [up, other] = [1, 2].map((pid) => ({ pid, started: 'then' })) as [UpProcess, UpProcess]
  const record = new UpRecord(home, { schema: 1, up, processes: {}, freePorts: {} })
  const changes = [record.change({ leader: 'scheduler' }), record.change({ processes: { gateway: other } })]
  const outcomes = await Promise.allSettled(changes)
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  await mkdir(join(dir, 'later'))
  await Promise.all([record.change({ givenUpRecords: 3 }), record.change({ givenUpRecords: 4 })])
  assert.deepEqual(await readUpFile(home), {
    ...{ schema: 1, up, processes: { gateway: other }, freePorts: {} },
    ...{ leader: 'scheduler', givenUpRecords: 4 },
  })
})

type UpProcess = { readonly pid: number; readonly started: string }
