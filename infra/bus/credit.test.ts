import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CodedError } from '../../sdk/errors.ts'
import { idWords, parseFrame } from '../../sdk/frame.ts'
import { decodeBeacon, encodeBeacon } from './beacon.ts'
import { creditFlags, decodeCredit, encodeCredit } from './credit.ts'

const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const name = fc.string({ maxLength: 60 })
const credit = fc.record({
  consumer: name,
  owner: fc.stringMatching(/^[0-9a-f]{16}$/),
  epoch: u32,
  entries: fc.array(
    fc
      .record({
        stream: name,
        partition: fc.integer({ min: 0, max: 65535 }),
        flags: fc.integer({ min: 0, max: 15 }),
        through: u48,
        accepted: u48,
        windowBytes: u32,
        dropped: fc.dictionary(name, u48, { maxKeys: 3, noNullPrototype: true }),
        attempts: fc.nat(0xffff),
        aside: fc.nat(0xffff),
        next: fc.option(fc.record({ owner: fc.stringMatching(/^[0-9a-f]{16}$/), epoch: u32 })),
      })
      .map(({ attempts, aside, next, ...entry }) => {
        const tried = attempts % 2 === 0 ? {} : { attempts }
        const held = aside % 2 === 0 ? {} : { aside }
        const flags =
          entry.flags |
          (attempts % 2 && creditFlags.tried) |
          (aside % 2 && creditFlags.aside) |
          (next === null ? 0 : creditFlags.next)
        return { ...entry, ...tried, ...held, ...(next === null ? {} : { next }), flags }
      }),
    { maxLength: 20 },
  ),
})

/** fast-check makes objects without a prototype. */
function plain<T>(value: T): T {
  return structuredClone(value)
}

test('decodeCredit gives back what encodeCredit wrote', () => {
  fc.assert(fc.property(credit, (value) => assert.deepEqual(decodeCredit(encodeCredit(value)), plain(value))))
})

test('decodeCredit refuses every truncation and any garbage with a CodedError', () => {
  const sound = encodeCredit(fc.sample(credit, { seed: 5, numRuns: 1 })[0]!)
  for (let length = 0; length < sound.length; length++)
    assert.throws(() => decodeCredit(sound.subarray(0, length)), CodedError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.throws(() => decodeCredit(Uint8Array.of(0xce, 1, ...bytes, 0xff)), CodedError)
    }),
    { numRuns: 1000 },
  )
})

test('decodeCredit refuses an entry with flags that it does not know: fields of theirs may follow', () => {
  const entry = { stream: 's', partition: 0, through: 1, accepted: 2, windowBytes: 3, dropped: {} }
  const entries = [{ ...entry, flags: 128 }]
  const later = encodeCredit({ consumer: 'f', owner: '0123456789abcdef', epoch: 1, entries })
  assert.throws(() => decodeCredit(later), /has flags 128, of which this build knows 127/)
})

test('decodeBeacon gives back what encodeBeacon wrote', () => {
  const entries = fc.array(
    fc.record({ consumer: name, epoch: u32, position: u48, from: u48, attempts: fc.nat(0xffff) }),
    { maxLength: 5 },
  )
  fc.assert(
    fc.property(u48, u48, entries, (sequence, oldest, list) => {
      const id = idWords('0123456789abcdef')
      const frame = encodeBeacon(
        { producer: id, origin: id, epoch: 1, partition: 2, sequence },
        { oldest, entries: list },
      )
      const header = parseFrame(frame)
      assert.equal(header.sequence, sequence)
      assert.deepEqual(decodeBeacon(frame, header), plain({ oldest, entries: list }))
    }),
  )
})
