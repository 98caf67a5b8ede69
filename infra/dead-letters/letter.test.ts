import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameBytesMax } from '../../sdk/wire/frame.ts'
import { decodeLetters, encodeLetters, type Letter, lettersPerMessageMax, messagesOf } from './letter.ts'

const plain = { noNullPrototype: true }
const letters: fc.Arbitrary<Letter> = fc.record(
  {
    record: fc.record(
      {
        key: fc.uint8Array(),
        value: fc.uint8Array({ maxLength: 300 }),
        timeMs: fc.integer({ min: -(2 ** 43), max: 2 ** 43 }),
      },
      plain,
    ),
    stream: fc.string(),
    partition: fc.nat(1023),
    producer: fc.string(),
    sequence: fc.nat(2 ** 31 - 1),
    error: fc.record(
      { name: fc.string(), message: fc.string(), stack: fc.string(), at: fc.string() },
      { ...plain, requiredKeys: ['name', 'message', 'stack'] },
    ),
    attempts: fc.nat(100),
    failedAtMs: fc.integer({ min: 0, max: 2 ** 43 }),
    timer: fc.record({ arena: fc.nat(2047), instance: fc.nat(99) }, plain),
  },
  {
    ...plain,
    requiredKeys: [
      'record',
      'stream',
      'partition',
      'producer',
      'sequence',
      'error',
      'attempts',
      'failedAtMs',
    ],
  },
)

test('decodeLetters reads what encodeLetters wrote, byte for byte (LT1)', () => {
  const content = fc.record(
    {
      function: fc.string(),
      version: fc.nat(),
      letters: fc.array(letters, { maxLength: 8 }),
    },
    plain,
  )
  fc.assert(fc.property(content, (c) => assert.deepEqual(decodeLetters(encodeLetters(c)), c)))
})

test('encodeLetters writes letters without timers in the version that earlier builds read', () => {
  const [{ timer: _, ...letter }] = fc.sample(letters, 1) as [Letter]
  const versionOf = (one: Letter) => encodeLetters({ function: 'f', version: 1, letters: [one] })[1]
  assert.equal(versionOf(letter), 1)
  assert.equal(versionOf({ ...letter, timer: { arena: 1, instance: 0 } }), 2)
})

test('decodeLetters refuses anything else, says what it found, and throws nothing else (LT2)', () => {
  const whole = encodeLetters({
    function: 'f',
    version: 1,
    letters: fc.sample(letters, { numRuns: 3, seed: 1 }),
  })
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const broken = whole.slice()
      broken[at] = byte
      try {
        decodeLetters(broken)
      } catch (error) {
        assert.match((error as Error).message, /^Cannot read dead letters: /)
      }
      assert.throws(
        () => decodeLetters(whole.slice(0, at)),
        /^ERR_LETTER_MALFORMED: Cannot read dead letters: /,
      )
    }),
  )
  assert.throws(() => decodeLetters(Uint8Array.of(0xcd, 3, 0, 0, 0, 0, 0, 0)), /it is of version 3/)
})

test('messagesOf divides letters into messages that NATS accepts, in order, even with the largest record', () => {
  const error = { name: 'E', message: '\u0001'.repeat(2048), stack: '\u0001'.repeat(6144) }
  const place = { stream: 's', partition: 0, producer: '00', attempts: 1, failedAtMs: 0 }
  const letter = (sequence: number, valueBytes: number): Letter => ({
    ...place,
    sequence,
    error: { ...error, message: error.message + sequence },
    record: { key: new Uint8Array(8), value: new Uint8Array(valueBytes), timeMs: 0 },
  })
  const many = [
    ...Array.from({ length: 1000 }, (_, i) => letter(i, 10)),
    letter(1000, frameBytesMax - 48 - 16 - 8),
    letter(1001, 0),
  ]
  const sequences: number[] = []
  for (const part of messagesOf(many)) {
    assert.ok(part.length <= lettersPerMessageMax)
    const bytes = encodeLetters({ function: 'f'.repeat(63), version: 1, letters: part })
    assert.ok(bytes.length <= 1024 * 1024 - 512, String(bytes.length))
    const read = decodeLetters(bytes)
    for (const [i, { sequence, record }] of read.letters.entries()) {
      sequences.push(sequence)
      assert.equal(record.value.length, part[i]!.record.value.length)
    }
  }
  assert.deepEqual(
    sequences,
    Array.from({ length: 1002 }, (_, i) => i),
  )
})
