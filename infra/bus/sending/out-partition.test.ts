import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { type CreditEntry, creditFlags } from '../messages/credit.ts'
import { OutPartition } from './out-partition.ts'

const entry = {
  stream: 's',
  partition: 0,
  flags: 0,
  through: 8,
  accepted: 10,
  windowBytes: 9999,
  dropped: {},
}
const aside = { ...entry, flags: creditFlags.aside, aside: 2 }

/** Ten records were sent, and its owner has said so far what is given. */
function served(said: CreditEntry = aside): OutPartition {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([{ name: 'f', blocking: true }])
  out.add(
    frameOf(
      Array.from({ length: 10 }, () => ({ key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 0 })),
    ),
    10,
    0,
  )
  out.credit('f', 'a', 1, { ...entry, through: 0, accepted: 0 })
  assert.ok(out.send(0))
  out.credit('f', 'a', 1, said)
  assert.equal(out.ledger()[0]!.acked, 8 - (said.aside ?? 0))
  return out
}

test('OutPartition sends no more than the window beyond what is acknowledged, but always one frame', () => {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([{ name: 'f', blocking: true }])
  const large = { key: new Uint8Array(1), value: new Uint8Array(40_000), timeMs: 0 } // no two are joined
  for (let i = 0; i < 4; i++) out.add(frameOf([large]), 1, 0)
  const sent = (credit: Partial<CreditEntry>): number => {
    out.credit('f', 'a', 1, { ...entry, windowBytes: 90_000, ...credit })
    let frames = 0
    while (out.send(0)) frames += 1
    return frames
  }
  assert.equal(sent({ flags: creditFlags.fresh, through: 0, accepted: 0 }), 2)
  assert.equal(sent({ through: 1, accepted: 2 }), 1)
  assert.equal(sent({ through: 3, accepted: 3, windowBytes: 10 }), 1, 'one, however large')
})

test('OutPartition: what goes to a late owner in parts is not sent before its last part is', () => {
  const out = new OutPartition('s', 0, () => undefined, { ownerlessBytes: 1 << 20 })
  out.setConsumers(['good', 'bad'].map((name) => ({ name, blocking: true })))
  const large = { key: new Uint8Array(1), value: new Uint8Array(40_000), timeMs: 0 } // no two are joined
  for (let i = 0; i < 4; i++) out.add(frameOf([large]), 1, 0)
  assert.equal(out.send(0), undefined, 'while nobody is there, it would only be sent again')
  const sent = (consumer: string, credit: Partial<CreditEntry>): number => {
    out.credit(consumer, consumer, 1, { ...entry, through: 0, accepted: 0, windowBytes: 90_000, ...credit })
    let frames = 0
    while (out.send(0)) frames += 1
    return frames
  }
  const { fresh } = creditFlags
  assert.equal(sent('good', { flags: fresh, windowBytes: 1 << 20 }), 4)
  assert.equal(out.isSent, false, 'bad has no owner')
  assert.equal(sent('bad', { flags: fresh }), 2)
  assert.equal(out.isSent, false, 'the rest waits for its credit')
  assert.equal(sent('bad', { through: 2, accepted: 2 }), 2)
  assert.equal(out.isSent, true)
})

test('OutPartition.closing counts as unaccounted what an owner has touched or set aside and not acknowledged, and nothing behind that', () => {
  for (const [said, acked, unaccounted] of [
    [{ ...entry, touched: 9 }, 8, 1],
    [{ ...entry, touched: 8 }, 8, 0],
    [{ ...aside, touched: 9 }, 6, 3],
    [{ ...entry, flags: creditFlags.leaving, touched: 9 }, 8, 0],
  ] as const) {
    const [row] = served(said).closing()
    assert.deepEqual([row!.sent, row!.acked, row!.unaccounted], [acked + unaccounted, acked, unaccounted])
  }
})

test('OutPartition counts records that a vanished owner had set aside as unaccounted', () => {
  const out = served()
  out.credit('f', 'b', 2, { ...entry, flags: creditFlags.fresh })
  assert.equal(out.ledger()[0]!.unaccounted, 4)
})

test('OutPartition counts records that an owner had set aside as settled after a handover, even if its last credit was lost', () => {
  const out = served()
  out.credit('f', 'b', 2, { ...entry, through: 10 })
  const [row] = out.ledger()
  assert.equal(row!.unaccounted, 0)
  assert.equal(row!.acked, 10)
})

test('OutPartition counts what a next owner may have done while the connection was lost, even if it was named late', () => {
  const lastWord = { ...entry, flags: creditFlags.leaving | creditFlags.next, next: { owner: 'b', epoch: 2 } }
  for (const [isCut, unaccounted] of [
    [false, 0],
    [true, 2],
  ] as const) {
    const out = served()
    if (isCut) {
      out.rewind()
      assert.ok(out.send(1))
    }
    out.credit('f', 'a', 1, lastWord)
    out.credit('f', 'c', 3, { ...entry, flags: creditFlags.fresh })
    const [row] = out.ledger()
    assert.deepEqual([row!.acked, row!.unaccounted], [8, unaccounted], isCut ? 'cut' : 'all was heard')
    assert.equal(out.send(2) === undefined, isCut, 'what it may have done goes to nobody else')
  }
})

test('OutPartition gives a consumer that replaces another what that one has not acknowledged, and waits only for the new one', () => {
  const out = served()
  const [first, second] = [
    { name: 'r2', blocking: true, instead: 'f' },
    { name: 'r3', blocking: true, instead: 'gone' },
  ]
  assert.ok(out.setConsumers([first]))
  assert.equal(out.send(1), undefined, 'nobody has said that it listens')
  assert.deepEqual(
    out.beaconEntries().map(({ consumer, position }) => [consumer, position]),
    [['r2', 8]],
  )
  out.credit('r2', 'b', 1, { ...entry, flags: creditFlags.fresh })
  assert.equal(out.send(2)?.sequence, 0, 'the frame in which its position lies')
  assert.deepEqual([out.ledger()[0]!.sent, out.ledger()[0]!.unaccounted], [2, 0])
  out.setConsumers([first, second])
  assert.deepEqual(
    out.beaconEntries().map(({ position }) => position),
    [8, 10],
    'for one that is gone: from now on',
  )
})

test('OutPartition sends records that a vanished owner accepted but did not touch to the next one, if it was told what was touched', () => {
  for (const [touched, unaccounted] of [
    [9, 1],
    [undefined, 2],
  ] as const) {
    const out = served(touched === undefined ? entry : { ...entry, touched })
    assert.ok(out.safeThrough(10), 'it lies with its owner')
    out.credit('f', 'b', 2, { ...entry, flags: creditFlags.fresh })
    assert.equal(out.ledger()[0]!.unaccounted, unaccounted)
    assert.equal(out.beaconEntries()[0]!.position, 8 + unaccounted)
    assert.equal(out.send(1) !== undefined, unaccounted < 2)
  }
})

test('OutPartition counts what was sent before its connection was lost as touched, whatever it hears afterwards', () => {
  const out = served({ ...entry, touched: 8 })
  out.rewind()
  assert.ok(out.send(1))
  out.credit('f', 'a', 1, { ...entry, accepted: 9, touched: 8 }) // said before: more may have been said since
  out.credit('f', 'b', 2, { ...entry, flags: creditFlags.fresh })
  assert.equal(out.ledger()[0]!.unaccounted, 2)
  assert.equal(out.send(2), undefined)
})

test('OutPartition takes nothing back because of a late credit', () => {
  const out = served()
  out.credit('f', 'a', 1, { ...entry, through: 10, dropped: { ttl: 2 } })
  out.credit('f', 'a', 1, { ...aside, dropped: { ttl: 1 } })
  out.credit('f', 'a', 1, { ...entry, through: 10, dropped: { ttl: 2 } })
  const [row] = out.ledger()
  assert.deepEqual([row!.acked, row!.dropped], [10, { ttl: 2 }])
})

test('OutPartition forgets a frame that its owner has processed; one that was sent twice only when the server has confirmed it', () => {
  const done = { ...entry, through: 10 }
  const once = served()
  once.credit('f', 'a', 1, done)
  assert.ok(once.settled, 'the server has read what an owner tells of')
  const twice = served()
  twice.credit('f', 'a', 1, { ...aside, flags: creditFlags.aside | creditFlags.resend, accepted: 0 })
  assert.ok(twice.send(1))
  twice.credit('f', 'a', 1, done)
  assert.ok(!twice.settled, 'the socket may hold the second one')
  twice.confirm(1)
  assert.ok(twice.settled)
})

test('OutPartition does not count a frame as read by the server that was held when a consumer came that starts behind it', () => {
  let forgotten = 0
  const out = new OutPartition('s', 0, () => {
    forgotten += 1
  })
  const record = { key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 0 }
  out.add(frameOf(Array.from({ length: 10 }, () => record)), 10, 0) // held: the connection is lost, or is full
  out.setConsumers([{ name: 'g', blocking: true }], 'next')
  out.credit('g', 'a', 1, { ...entry, flags: creditFlags.fresh, through: 0, accepted: 0 })
  assert.ok(out.send(0))
  out.credit('g', 'a', 1, { ...entry, through: 10 })
  assert.equal(forgotten, 0, 'the socket may hold it')
  out.confirm(0)
  assert.equal(forgotten, 1)
})
