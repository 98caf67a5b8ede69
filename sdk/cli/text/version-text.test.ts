import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionSummary } from '../../api/index.ts'
import { concord, gatewayOf } from '../test-cli.ts'
import { versionText } from './version-text.ts'

const summary = (more: Partial<FunctionSummary>) => ({ state: 'running', ...more }) as FunctionSummary

test('versionText names the live version, and one that runs beside it or is being rolled out', () => {
  assert.equal(versionText(summary({ version: 1 })), 'v1')
  assert.equal(versionText(summary({ version: 4, live: 4 })), 'v4')
  assert.equal(versionText(summary({ version: 4, live: 3, state: 'swapping' })), 'v3 → v4')
  assert.equal(versionText(summary({ version: 4, live: 3, state: 'shadow' })), 'v3, shadow v4')
  const canary = summary({ version: 4, live: 3, state: 'crashLooping', canaryPercent: 10 })
  assert.equal(versionText(canary), 'v3, canary v4 at 10 %')
})

test('fn ls shows the live version with the canary beside it', async (t) => {
  const counts = { instancesRunning: 2, instancesWanted: 2, recordsIn: 9, recordsOut: 8, errors: 0 }
  const fn = { name: 'score', version: 4, live: 3, canaryPercent: 0.5, state: 'canary', ...counts }
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { functions: [fn] } }))
  const { stdout } = await concord(['fn', 'ls'], { env })
  assert.match(stdout, /^score +v3, canary v4 at 0\.5 % +canary +2\/2 +9 +8 +0 +-$/m)
})
