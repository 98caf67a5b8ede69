import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { Heartbeats } from './heartbeats.ts'

interface Told {
  readonly sent?: number
  readonly acked?: number
  /** Since the start of the instance. */
  readonly elapsedMs?: number
  readonly blockedMs?: number
  readonly idleMs?: number
}

function beat(heartbeats: Heartbeats, clock: ManualClock, id: string, told: Told = {}): void {
  const { sent = 0, acked = 0, elapsedMs = 0, blockedMs = 0, idleMs = 0 } = told
  const instance = {
    ...{
      id: 'f-0',
      function: 'f',
      epoch: 1,
      state: 'running',
      recordsIn: 0,
      recordsOut: 0,
      errors: 0,
      inputs: [],
    },
    work: { elapsedMs, blockedMs, idleMs },
    outputs: [{ stream: 's', consumer: 'g', sent, acked, dropped: {}, unaccounted: 0 }],
  }
  const message = {
    ...{
      schema: 1,
      kind: 'runner',
      id,
      incarnation: id,
      generation: 1,
      sentAtMs: clock.nowMs(),
      state: 'running',
    },
    instances: [instance],
  }
  assert.ok(heartbeats.take(Buffer.from(JSON.stringify(message))))
}

test('Heartbeats tells rates and shares of time once a process was heard for some seconds, and not of a silent one', () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  const tell = (seconds: number) =>
    beat(heartbeats, clock, 'task', {
      ...{ sent: 100 + seconds * 10, acked: seconds * 4 },
      ...{ elapsedMs: 60_000 + seconds * 1000, blockedMs: 50_000 + seconds * 250, idleMs: seconds * 500 },
    })
  tell(0)
  assert.deepEqual([heartbeats.timeOf('task', 'f-0'), heartbeats.rates('s', 'g')], [undefined, undefined])
  for (const seconds of [1, 2, 3]) {
    clock.advance(1000)
    tell(seconds)
  }
  assert.deepEqual(heartbeats.timeOf('task', 'f-0'), { busy: 0.25, blocked: 0.25 })
  assert.deepEqual(heartbeats.rates('s', 'g'), { sentPerSecond: 10, donePerSecond: 4 })
  assert.equal(heartbeats.rates('s', 'other'), undefined)
  assert.deepEqual(
    [heartbeats.timeOf('task', 'f-1'), heartbeats.timeOf(undefined, 'f-0')],
    [undefined, undefined],
  )
  clock.advance(2_000)
  beat(heartbeats, clock, 'other task')
  clock.advance(2_000)
  beat(heartbeats, clock, 'other task')
  assert.equal(heartbeats.timeOf('task', 'f-0'), undefined)
  assert.equal(heartbeats.rates('s', 'g'), undefined)
})

test('Heartbeats of a gateway that hears nobody says so, and calls nobody else silent, then or when it hears again', () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  beat(heartbeats, clock, 'me')
  beat(heartbeats, clock, 'task')
  clock.advance(2_500)
  assert.deepEqual([heartbeats.unheard, heartbeats.isSilent('task')], [undefined, false])
  clock.advance(60_000)
  assert.match(heartbeats.unheard!, /^this gateway has heard nothing over NATS for 62 s, not even itself/)
  assert.equal(heartbeats.of('task')?.id, 'task')
  assert.deepEqual([heartbeats.silentMs('task'), heartbeats.isSilent('task')], [2_500, false])
  beat(heartbeats, clock, 'me')
  assert.deepEqual([heartbeats.unheard, heartbeats.silentMs('task')], [undefined, 2_500])
  clock.advance(1_000)
  beat(heartbeats, clock, 'me')
  assert.deepEqual([heartbeats.silentMs('task'), heartbeats.isSilent('task')], [3_500, true])
})
