import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat, InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import { LoadMeter } from './load-meter.ts'

interface Doing {
  readonly function: string
  readonly recordsIn: number
  readonly busy?: number
  readonly blocked?: number
  readonly outputs?: readonly OutputLedger[]
}

/** One minute after its start, plus so many seconds. */
function reportOf(doing: Doing, atS: number): InstanceReport {
  const { function: name, recordsIn, busy = 0, blocked = 0, outputs = [] } = doing
  const elapsedMs = atS * 1000
  return {
    ...{
      id: `${name}-0`,
      function: name,
      index: 0,
      epoch: 1,
      version: 1,
      state: 'running',
      recordsIn,
      recordsOut: 0,
    },
    ...{
      errors: 0,
      timersFired: 0,
      batches: 0,
      stateEntries: 0,
      stateBytes: 0,
      heapBytes: 0,
      cpuSeconds: atS * 0.25,
    },
    work: { elapsedMs, idleMs: elapsedMs * (1 - busy - blocked), blockedMs: elapsedMs * blocked },
    ...{ outputs, inputs: [] },
  }
}

function row(stream: string, consumer: string, sent: number, acked: number): OutputLedger {
  return { stream, consumer, sent, acked, dropped: {}, unaccounted: 0 }
}

function beatOf(id: string, atS: number, more: Partial<Heartbeat>): Heartbeat {
  return {
    ...{
      schema: 1,
      kind: 'runner',
      id,
      incarnation: 'i',
      generation: 1,
      sentAtMs: atS * 1000,
      state: 'running',
    },
    ...{ pid: 1, rssBytes: 0, cpuSeconds: 0, instances: [] },
    ...more,
  }
}

/** Two heartbeats of each process, a second apart. */
function hear(meter: LoadMeter, of: (times: number) => readonly Heartbeat[]): void {
  for (const times of [1, 2]) for (const beat of of(times)) meter.hear(beat, times * 1000)
}

test('LoadMeter measures demand, backlog and true rate of a function that a gateway sends to', () => {
  const meter = new LoadMeter()
  hear(meter, (times) => [
    beatOf('g', times, { kind: 'gateway', outputs: [row('s', 'slow', 3000 * times, 400 * times)] }),
    beatOf('t', times, {
      instances: [reportOf({ function: 'slow', recordsIn: 400 * times, busy: 0.8 }, times)],
    }),
  ])
  const load = meter.measure(new Map([['slow', undefined]]), 2000).get('slow')!
  assert.equal(load.demand, 3000)
  assert.equal(load.backlog, 5200)
  assert.equal(load.processed, 400)
  assert.equal(Math.round(load.trueRate!), 500)
  assert.equal(load.cpu, 0.25)
})

test('LoadMeter counts the backlog of a blocked function at the slow function behind it, not at the quick one (LM1)', () => {
  const meter = new LoadMeter()
  const front = (times: number): Doing => ({
    ...{ function: 'front', recordsIn: 100 * times, busy: 0.05, blocked: 0.9 },
    outputs: [
      row('mid', 'slow', 200 * times, 200 * times - 90),
      row('mid', 'quick', 200 * times, 200 * times),
    ],
  })
  hear(meter, (times) => [
    beatOf('g', times, { kind: 'gateway', outputs: [row('s', 'front', 1000 * times, 100 * times)] }),
    beatOf('t1', times, { instances: [reportOf(front(times), times)] }),
    beatOf('t2', times, {
      instances: [reportOf({ function: 'slow', recordsIn: 200 * times, busy: 1 }, times)],
    }),
    beatOf('t3', times, {
      instances: [reportOf({ function: 'quick', recordsIn: 200 * times, busy: 0.1 }, times)],
    }),
  ])
  const loads = meter.measure(new Map(['quick', 'slow', 'front'].map((name) => [name, undefined])), 2000)
  assert.equal(loads.get('front')!.backlog, 0)
  assert.equal(loads.get('front')!.demand, 100)
  assert.equal(loads.get('slow')!.backlog, 90 + 1800 * 2, 'two records of one that waits in front')
  assert.equal(loads.get('slow')!.demand, 200 + 900 * 2)
  assert.equal(loads.get('quick')!.backlog, 0)
  assert.equal(loads.get('quick')!.demand, 200)
})

test('LoadMeter counts no backlog for an idle reader beside a slow reader of the same stream', () => {
  const meter = new LoadMeter()
  const outputs = (times: number) => [
    row('s', 'slow', 5000 * times, 100),
    row('s', 'idle', 5000 * times, 100),
  ]
  hear(meter, (times) => [
    beatOf('g', times, { kind: 'gateway', outputs: outputs(times) }),
    beatOf('t1', times, {
      instances: [reportOf({ function: 'slow', recordsIn: 50 * times, busy: 1 }, times)],
    }),
    beatOf('t2', times, {
      instances: [reportOf({ function: 'idle', recordsIn: 50 * times, busy: 0.01 }, times)],
    }),
  ])
  const loads = meter.measure(new Map(['slow', 'idle'].map((name) => [name, undefined])), 2000)
  assert.equal(loads.get('slow')!.backlog, 9900)
  assert.equal(loads.get('idle')!.backlog, 0)
  assert.equal(loads.get('idle')!.inFlight, 9900)
})

test('LoadMeter forgets silent and stopped processes, and starts again with a new incarnation', () => {
  const meter = new LoadMeter()
  const functions = new Map([['f', undefined]])
  const sends = (id: string, atS: number, more: Partial<Heartbeat> = {}) =>
    meter.hear(beatOf(id, atS, { kind: 'gateway', outputs: [row('s', 'f', 100, 0)], ...more }), atS * 1000)
  sends('a', 1)
  sends('b', 1)
  assert.equal(meter.measure(functions, 2000).get('f')!.inFlight, 200)
  sends('b', 2, { state: 'stopped' })
  assert.equal(meter.measure(functions, 2000).get('f')!.inFlight, 100)
  sends('a', 3, { incarnation: 'again', outputs: [row('s', 'f', 7, 0)] })
  assert.equal(meter.measure(functions, 3000).get('f')!.demand, 0, 'no rate by one heartbeat')
  assert.equal(meter.measure(functions, 30_000).get('f')!.inFlight, 0)
})

test('LoadMeter measures a gateway again whose clock was set back (SR2)', () => {
  const meter = new LoadMeter()
  const sent = [3000, 6000, 9000, 12_000]
  for (const [index, atS] of [7201, 7202, 1, 2].entries())
    meter.hear(beatOf('g', atS, { kind: 'gateway', outputs: [row('s', 'f', sent[index]!, 0)] }), index * 1000)
  assert.equal(meter.measure(new Map([['f', undefined]]), 3000).get('f')!.demand, 3000)
})
