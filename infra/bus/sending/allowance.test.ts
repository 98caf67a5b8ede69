import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { type AddOut, Allowance } from './allowance.ts'
import type { LaneBasis } from './lanes.ts'
import { OutPartition } from './out-partition.ts'
import { allowancesOf, allowancesWith, newStream } from './out-stream.ts'

const step = fc.oneof(
  fc.record({
    kind: fc.constant('send' as const),
    consumer: fc.constantFrom('f', 'g'),
    records: fc.integer({ min: 1, max: 500 }),
  }),
  fc.record({
    kind: fc.constant('acknowledge' as const),
    consumer: fc.constantFrom('f', 'g'),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ kind: fc.constant('report' as const), heard: fc.boolean() }),
)

test('Allowance tells a bound before more is out, and keeps it near what was out (AL1, AL2)', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const out = new Map([
        ['f', 0],
        ['g', 0],
      ])
      let told = new Map<string, number>()
      let most = 0
      const each = (add: AddOut): void => {
        for (const [consumer, records] of out) add(consumer, records)
      }
      const allowance = new Allowance(each, () => {
        told = new Map(allowance.bounds)
      })
      for (const one of steps) {
        if (one.kind === 'acknowledge') out.set(one.consumer, Math.floor(out.get(one.consumer)! * one.share))
        if (one.kind === 'send') {
          out.set(one.consumer, out.get(one.consumer)! + one.records)
          allowance.spend(one.records)
        }
        if (one.kind === 'report') {
          const lowered = new Map(allowance.lowered())
          if (one.heard) told = lowered
        }
        for (const [consumer, records] of out) {
          most = Math.max(most, records)
          assert.ok(records <= (told.get(consumer) ?? 0), `${records} out, ${told.get(consumer)} told`)
          assert.ok((told.get(consumer) ?? 0) <= most * 1.25 + 16)
        }
      }
    }),
  )
})

/** An allowance of one consumer. */
function open(at: { out: number; notices: number }): Allowance {
  return new Allowance(
    (add) => add('f', at.out),
    () => {
      at.notices += 1
    },
  )
}

test('Allowance tells nothing while less is out than allowed, and falls to that within seconds', () => {
  const at = { out: 0, notices: 0 }
  const allowance = open(at)
  at.out = 10_000
  allowance.spend(10_000)
  assert.deepEqual([...allowance.bounds], [['f', 12_516]])
  for (let i = 0; i < 1000; i++) {
    at.out = 4_000 + (i % 2) * 5_000
    allowance.spend(5_000)
  }
  assert.equal(at.notices, 1)
  at.out = 0
  let seconds = 0
  for (; allowance.lowered().get('f') !== 0; seconds++) assert.ok(seconds < 40)
  assert.ok(seconds > 5, 'not at once: the next flood is not to begin with a notice for each frame')
})

test('Allowance is told once for a record between two reports', () => {
  const at = { out: 0, notices: 0 }
  const allowance = open(at)
  for (let second = 0; second < 40; second++) {
    at.out = 1
    allowance.spend(1)
    at.out = 0
    allowance.lowered()
  }
  assert.equal(at.notices, 1)
})

test('allowancesWith agrees with allowancesOf without adding up all partitions each time', (t) => {
  const consumers = ['f', 'g'].map((name) => ({ name, backPressure: 'block' as const }))
  const descriptor = { name: 's', partitions: 1000, keyed: true, consumers }
  const stream = newStream(descriptor, {} as LaneBasis, () => void allowancesOf([stream]))
  const looks = t.mock.method(OutPartition.prototype, 'ledger').mock
  for (let partition = 0; partition < descriptor.partitions; partition++) {
    const out = new OutPartition('s', partition, () => undefined)
    out.setConsumers(['f', 'g'].map((name) => ({ name, blocking: true })))
    stream.partitions[partition] = out
    const entry = {
      stream: 's',
      partition,
      flags: 0,
      through: 0,
      accepted: 0,
      windowBytes: 4096,
      dropped: {},
    }
    for (const consumer of ['f', 'g']) out.credit(consumer, '00000000000000aa', 1, entry)
    out.add(frameOf([{ key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 0 }]), 1, 0)
    out.send(0)
    const rows = allowancesWith([stream], stream, out.begins)
    stream.allowance!.spend(1)
    assert.deepEqual(
      rows.map(({ consumer, parts }) => [consumer, parts]),
      [
        ['f', partition + 1],
        ['g', partition + 1],
      ],
    )
  }
  assert.ok(looks.callCount() <= 40 * descriptor.partitions, `${looks.callCount()} looks`)
  const before = [...stream.told!.values()]
  assert.deepEqual(
    allowancesOf([stream]).map(({ parts }) => parts),
    before.map(({ parts }) => parts),
  )
})
