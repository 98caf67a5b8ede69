import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { SuccessorChecks } from './successor-checks.ts'

test('SuccessorChecks accepts other resources of the same code while state is migrated, but no other code (SU1)', async () => {
  const manifest = manifestSchema.parse({ name: 'totals' })
  const version = {
    ...{ schema: 1, version: 3, bundleSha256: 'a', bundleBytes: 1 },
    manifest,
    deployedAtMs: 1,
  }
  const instances = [{ id: 'totals-0', epoch: 1, taskId: 'task' }]
  const live = { name: 'totals', document: { version: 3 }, version, status: { instances } } as never
  const beat = { instances: [{ id: 'totals-0', epoch: 1, state: 'running', migrating: 5 }] }
  const checks = new SuccessorChecks({
    ...{ store: undefined as never, namespace: 'test' },
    catalog: { current: { functions: new Map(), streams: new Map() } } as never,
    heartbeats: { of: () => beat } as never,
  })
  await checks.check(live, { bundleSha256: 'a', manifest })
  await checks.check(live, { bundleSha256: 'b', manifest, migrates: true })
  await assert.rejects(
    checks.check(live, { bundleSha256: 'b', manifest }),
    /still in the format of a version before/,
  )
})
