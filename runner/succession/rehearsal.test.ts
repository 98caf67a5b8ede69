import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import type { InputFrame } from '../isolate/index.ts'
import { Sampler } from './rehearsal.ts'

const frame = { bytes: new Uint8Array([1, 2, 3]), skip: 2 } as InputFrame

test('Sampler gives the next batch to all who have asked, each within its own time', async () => {
  const clock = new ManualClock()
  const sampler = new Sampler(clock)
  const [short, first, second] = [sampler.next(100), sampler.next(500), sampler.next(500)]
  clock.advance(100)
  assert.equal(await short, undefined)
  sampler.see([])
  sampler.see([frame])
  const copy = { ...frame, skip: 0 }
  assert.deepEqual(await Promise.all([first, second]), [[copy], [copy]])
  sampler.see([frame])
  const later = sampler.next(100)
  clock.advance(100)
  assert.equal(await later, undefined, 'what was there before it asked')
})
