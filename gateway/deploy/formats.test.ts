import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFormat, checkRollout, migratesAfter } from './formats.ts'

const fn = { name: 'totals' }

test('checkFormat refuses a rollback to before a live migration', () => {
  assert.throws(
    () => checkFormat(fn, 3, { version: 1 }, false),
    /Cannot go back to v1 of 'totals': it cannot read the state, which v3 has migrated/,
  )
  assert.throws(() => checkFormat(fn, 3, { version: 2, stateFormat: 2, migrates: true }, false), /v2/)
  checkFormat(fn, 3, { version: 3, stateFormat: 3, migrates: true }, true)
  checkFormat(fn, 3, { version: 4, stateFormat: 3 }, false)
  checkFormat(fn, 1, { version: 1 }, false)
})

test('checkFormat refuses a version without migrate while something is left to migrate', () => {
  assert.throws(
    () => checkFormat(fn, 3, { stateFormat: 3 }, true),
    /Cannot let this version of 'totals' follow: .* it has no migrate. Keep the one of v3, which has to .*, or wait/,
  )
  checkFormat(fn, 3, { stateFormat: 3, migrates: true }, true)
})

test('checkRollout refuses a canary followed by waves for a version with migrate', () => {
  const canary = { steps: [10], bakeMs: 1_000 } as never
  assert.throws(
    () => checkRollout({ ...fn, rollout: { canary, rolling: 1 } }),
    /Cannot let this version of 'totals' be a canary and then roll: .* Leave out --canary \(rollout.canary\) or --rolling/,
  )
  checkRollout({ ...fn, rollout: { canary } })
  checkRollout({ ...fn, rollout: { rolling: 1 } })
  checkRollout(fn)
})

test('migratesAfter names the version whose state a migrate with other code receives too', () => {
  assert.deepEqual(migratesAfter(2, true, false), { migratesAfter: 2 })
  assert.deepEqual(migratesAfter(2, true, true), {}, 'the very same code begins no shape')
  assert.deepEqual(migratesAfter(2, false, false), {})
  assert.deepEqual(migratesAfter(1, true, false), {}, 'nothing has been migrated before')
})
