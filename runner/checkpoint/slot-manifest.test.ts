import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { CheckpointManifest, CheckpointStore } from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { Slot } from './slot.ts'

test('Slot repeats a claim once, however many writes wait for it (MN2)', async () => {
  let revision = 0
  const silence = Promise.withResolvers<never>()
  let answers: Promise<unknown> = silence.promise
  let now: CheckpointManifest | undefined
  // As JetStream has it: who may have written it himself looks again, a moment later.
  const writeManifest = async (slot: string, manifest: CheckpointManifest, before: number) => {
    await answers
    if (before === revision) {
      now = manifest
      return ++revision
    }
    await new Promise(setImmediate)
    if (isDeepStrictEqual(now, manifest)) return revision
    throw infraError('ERR_CHECKPOINT_SUPERSEDED', `another was written of ${slot}`)
  }
  const store = { readManifest: async () => undefined, writeManifest } as unknown as CheckpointStore
  const slot = new Slot('3', 3, { store, epoch: 1, warn: assert.fail, nowMs: () => 0 })
  const claim = assert.rejects(slot.claim(), { code: 'ERR_CHECKPOINT_STORE' })
  slot.timers = [{ key: 'a', timeMs: 700, attempts: 1, version: 1 }]
  const made = { epoch: 1, number: 0, timeMs: 0, version: 1, clean: false, slabs: [], inputs: {} }
  const begun = slot.begin(() => made)
  await new Promise(setImmediate)
  const told = slot.tell()
  answers = Promise.resolve()
  silence.reject(infraError('ERR_CHECKPOINT_STORE', 'Cannot write: nobody answers'))
  await Promise.all([claim, begun, told])
  assert.equal(now!.timers!.length, 1)
  assert.equal(now!.current!.number, 0)
})
