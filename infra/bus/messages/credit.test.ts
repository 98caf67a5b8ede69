import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CodedError } from '../../../sdk/errors.ts'
import { parseFrame, parseId64 } from '../../../sdk/wire/frame.ts'
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
        touched: u48,
      })
      .map(({ attempts, aside, next, touched, ...entry }) => {
        const tried = attempts % 2 === 0 ? {} : { attempts }
        const held = aside % 2 === 0 ? {} : { aside }
        const ahead = touched % 2 === 0 ? {} : { touched }
        const flags =
          entry.flags |
          (attempts % 2 && creditFlags.tried) |
          (aside % 2 && creditFlags.aside) |
          (next === null ? 0 : creditFlags.next) |
          (touched % 2 && creditFlags.touched)
        return { ...entry, ...tried, ...held, ...(next === null ? {} : { next }), ...ahead, flags }
      }),
    { maxLength: 20 },
  ),
})

/** fast-check makes objects without a prototype. */
function plain<T>(value: T): T {
  return structuredClone(value)
}

test('decodeCredit reads what encodeCredit wrote', () => {
  fc.assert(fc.property(credit, (value) => assert.deepEqual(decodeCredit(encodeCredit(value)), plain(value))))
})

test('decodeCredit reads what encodeCredit wrote in version 1, which has no `touched`', () => {
  fc.assert(
    fc.property(credit, (value) => {
      const { entries, ...credit } = plain(value)
      const told = entries.map(({ touched: _, ...entry }) => ({ ...entry, flags: entry.flags & 127 }))
      assert.deepEqual(decodeCredit(encodeCredit(value, 1)), { ...credit, entries: told })
    }),
  )
})

test('decodeCredit refuses every truncation and any garbage with a CodedError', () => {
  const sound = encodeCredit(fc.sample(credit, { seed: 5, numRuns: 1 })[0]!)
  for (let length = 0; length < sound.length; length++)
    assert.throws(() => decodeCredit(sound.subarray(0, length)), CodedError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const version of [1, 2])
        assert.throws(() => decodeCredit(Uint8Array.of(0xce, version, ...bytes, 0xff)), CodedError)
    }),
    { numRuns: 1000 },
  )
})

test('decodeCredit refuses unknown versions, and flags that the version does not have, since fields may follow them', () => {
  const entry = { stream: 's', partition: 0, flags: 0, through: 1, accepted: 2, windowBytes: 3, dropped: {} }
  const value = { consumer: 'f', owner: '0123456789abcdef', epoch: 1, entries: [entry] }
  const flagsAt = 16 + 2 + 2 + 2
  for (const [version, at, flags] of [
    [1, flagsAt, 128],
    [2, flagsAt + 1, 256],
  ] as const) {
    const later = encodeCredit(value, version)
    later[at] = flags > 255 ? flags >> 8 : flags
    assert.throws(
      () => decodeCredit(later),
      new RegExp(`has flags ${flags}, of which version ${version} knows`),
    )
  }
  const other = encodeCredit(value)
  for (const version of [0, 3]) {
    other[1] = version
    assert.throws(() => decodeCredit(other), /reads 206 and versions 1 to 2/)
  }
})

test('decodeBeacon reads what encodeBeacon wrote', () => {
  const entries = fc.array(
    fc.record({ consumer: name, epoch: u32, position: u48, from: u48, attempts: fc.nat(0xffff) }),
    { maxLength: 5 },
  )
  fc.assert(
    fc.property(u48, u48, entries, (sequence, oldest, list) => {
      const id = parseId64('0123456789abcdef')
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
