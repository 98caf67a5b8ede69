import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckpointStore } from '../../infra/checkpoints/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { infraError } from '../../infra/errors.ts'
import { Checkpointer, type CheckpointerOptions } from './checkpointer.ts'

const instance = { id: 'f-0', function: 'f', index: 0, epoch: 2, partitions: { in: [3] } }

function checkpointer(options: Pick<CheckpointerOptions, 'store' | 'warn' | 'onSuperseded'>): Checkpointer {
  const plain = { everyMs: 1000, bytesPerSecond: 1e9, version: 1, groupings: {} }
  return new Checkpointer(
    { ...options, ...plain, clock: new ManualClock(), onDue: () => undefined },
    instance,
  )
}

test('Checkpointer: a claim that is refused ends its owner, but not when the share has gone on to the next one', async () => {
  for (const isGone of [false, true]) {
    const ended: string[] = []
    const claim = Promise.withResolvers<number>()
    const store = { readManifest: async () => undefined, writeManifest: () => claim.promise }
    const by = checkpointer({
      store: store as unknown as CheckpointStore,
      warn: (message) => ended.push(message),
      onSuperseded: ({ message }) => ended.push(message),
    })
    const image = { epoch: 1, slabs: [], inputs: {}, pages: new Uint32Array(0), bytes: new Uint8Array(0) }
    await by.slots.receive(3, 2, image)
    by.slots.open(3, 0)
    by.slots.own(3)
    if (isGone) by.slots.letGo(3)
    claim.reject(infraError('ERR_CHECKPOINT_SUPERSEDED', 'another owner has written one meanwhile'))
    await new Promise(setImmediate)
    assert.deepEqual(ended, isGone ? [] : ['another owner has written one meanwhile'])
  }
})

test('Checkpointer: whoever asks for a cut at the end is told that there is none', async () => {
  const no = (): void => assert.fail()
  for (const end of [(by: Checkpointer) => by.end(), (by: Checkpointer) => by.last(async () => undefined)]) {
    const by = checkpointer({ store: {} as CheckpointStore, warn: no, onSuperseded: no })
    const before = by.soon()
    void end(by)
    assert.deepEqual(await Promise.all([before, by.soon()]), [false, false])
  }
})
