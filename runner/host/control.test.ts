import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NatsConnection } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { Control, type ControlOptions } from './control.ts'

/** A control whose heartbeats are noted, by their times. */
function listened(clock: ManualClock) {
  const beatsMs: number[] = []
  const nc = { subscribe: () => undefined, publish: () => undefined, isClosed: () => false }
  const beat = (): Heartbeat => {
    beatsMs.push(clock.monotonicMs())
    return { instances: [] } as unknown as Heartbeat
  }
  const options = { nc: nc as unknown as NatsConnection, namespace: 'n', taskId: 't', clock, beat }
  return { control: new Control(options as unknown as ControlOptions), beatsMs }
}

test('Control sends a heartbeat each second, and early where something has changed', () => {
  const clock = new ManualClock(10_000)
  const { control, beatsMs } = listened(clock)
  clock.advance(1_500)
  control.changed()
  clock.advance(0)
  assert.deepEqual(beatsMs, [10_000, 11_000, 11_500])
  control.changed()
  control.changed()
  clock.advance(49)
  control.changed()
  clock.advance(1)
  assert.deepEqual(beatsMs.slice(3), [11_550])
  clock.advance(1_000)
  assert.deepEqual(beatsMs.slice(4), [12_550])
})

test('Control sends two heartbeats a second, not twenty, while callbacks fail, and none later for it', () => {
  const clock = new ManualClock(10_000)
  const { control, beatsMs } = listened(clock)
  clock.advance(0)
  for (let ms = 0; ms < 2_000; ms++) {
    control.failed()
    clock.advance(1)
  }
  assert.deepEqual(beatsMs, [10_000, 10_500, 11_000, 11_500, 12_000])
  control.changed()
  control.failed()
  clock.advance(50)
  assert.deepEqual(beatsMs.slice(5), [12_050])
})
