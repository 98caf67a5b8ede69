import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CanaryView } from '../../api/canary.ts'
import type { ConcordClient } from '../../client/index.ts'
import { watchCanary } from './canary.ts'

test('watchCanary writes a line when the step or its wait changes, at the first records, and every ten seconds', async (t) => {
  const lines: string[] = []
  const write = t.mock.method(process.stderr, 'write', (text: string) => lines.push(text.trimEnd()) > 0)
  let nowMs = 0
  const side = () => ({ records: nowMs / 100, errors: 0, outputs: 0, ms: 0 })
  const canary = (): CanaryView => ({
    ...{
      version: 2,
      from: 1,
      step: 0,
      steps: [10],
      percent: 10,
      sinceMs: 0,
      bakeMs: 15_000,
      minRecords: 200,
    },
    ...{ passed: [], waitsFor: [], canaryP99Us: 0, controlP99Us: 0, windows: 0, slower: 0 },
    ...{ canary: side(), control: side() },
  })
  const client = {
    inspect: async () => (nowMs < 22_000 ? { version: 2, canary: canary() } : { version: 2 }),
    versions: async () => [{ version: 2, state: 'live' }],
  } as unknown as ConcordClient
  const sleep = async (ms: number) => {
    nowMs += ms
  }
  await watchCanary(client, { name: 'score', version: 2 }, { nowMs: () => nowMs, sleep })
  write.mock.restore()
  assert.deepEqual(
    lines.map((line) => line.split(/ {2,}|; /)[1]),
    [
      '15 s left', // without a record
      '15 s left', // with the first
      '5 s left',
      'waits for records of its keys, has 150 of the 200 that a step needs',
      'is being judged',
    ],
  )
})
