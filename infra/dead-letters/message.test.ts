import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameBytesMax } from '../../sdk/wire/frame.ts'
import type { Letter, Letters } from './letter.ts'
import { newLetter } from './letter.ts'
import { LetterBlock, type LetterMessage, lettersPerMessageMax } from './letter-block.ts'
import { decodeLetters } from './message.ts'

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
    error: fc
      .record(
        { name: fc.string(), message: fc.string(), stack: fc.string(), at: fc.string() },
        { ...plain, requiredKeys: ['name', 'message', 'stack'] },
      )
      .chain((error) => {
        const asOfV8 = { ...error, stack: `${error.name}: ${error.message}${error.stack}` }
        const asOfNode = { ...error, stack: `${error.name} [E]: ${error.message}${error.stack}` }
        return fc.constantFrom(
          ...[error, asOfV8, asOfNode, { ...asOfV8, message: 'set later' }, { ...error, stack: '' }],
        )
      }),
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

function messagesOf({ function: name, version, letters }: Letters): readonly LetterMessage[] {
  const block = new LetterBlock(name, version)
  for (const letter of letters) block.add(newLetter(letter))
  return block.take()
}

/** The one message of a few letters. */
function messageOf(content: Letters): Uint8Array {
  const [message, ...others] = messagesOf(content)
  assert.equal(others.length, 0)
  return message!.bytes
}

test('decodeLetters reads what a LetterBlock wrote, byte for byte (LT1)', () => {
  const content = fc.record(
    {
      function: fc.string(),
      version: fc.nat(),
      letters: fc.array(letters, { minLength: 1, maxLength: 8 }),
    },
    plain,
  )
  fc.assert(fc.property(content, (c) => assert.deepEqual(decodeLetters(messageOf(c)), c)))
})

test('LetterBlock says once what errors of one place have in common', () => {
  const [{ timer: _, ...letter }] = fc.sample(letters, 1) as [Letter]
  const frames = `\n    at f (index.ts:1:2)${' '.repeat(1000)}`
  const many = Array.from({ length: 100 }, (_, i) => {
    const message = `no ${i}`
    return { ...letter, error: { name: 'Error', message, stack: `Error: ${message}${frames}` } }
  })
  const named = many.map((one) => ({ ...one, error: { ...one.error, name: 'ParseError' } }))
  const long = { name: 'Error', message: 'm'.repeat(1000), stack: `Error: ${'m'.repeat(1000)}${frames}` }
  const same = many.map((one) => ({ ...one, error: long }))
  const bytesOf = (list: readonly Letter[]) => messageOf({ function: 'f', version: 1, letters: list }).length
  for (const [what, list] of Object.entries({ many, named, same }))
    assert.ok(bytesOf(list) - bytesOf(list.slice(1)) < 500, what)
})

for (const version of [1, 2])
  test(`decodeLetters reads version ${version}, which earlier builds wrote`, () => {
    const row = {
      error: 0,
      stream: 's',
      partition: 1,
      producer: '0a',
      sequence: 7,
      attempts: 2,
      failedAtMs: 9,
    }
    const rows = [
      { ...row, timeMs: 8, keyBytes: 1, valueBytes: 2 },
      {
        ...row,
        timeMs: -8,
        keyBytes: 0,
        valueBytes: 0,
        ...(version === 2 && { timer: { arena: 3, instance: 4 } }),
      },
    ]
    const errors = [{ name: 'E', message: 'm', stack: 'E: m\n at x', at: 'x' }]
    const head = Buffer.from(JSON.stringify({ function: 'f', version: 6, errors, letters: rows }))
    const bytes = Buffer.concat([
      Buffer.from([0xcd, version, 0, 0, 0, 0, 0, 0]),
      head,
      Buffer.from([1, 2, 3]),
    ])
    bytes.writeUInt32LE(head.length, 4)
    const { error: _, ...place } = row
    const letter = { ...place, error: errors[0] }
    const record = (key: number[], value: number[], timeMs: number) => ({
      ...{ key: Uint8Array.from(key), value: Uint8Array.from(value), timeMs },
    })
    assert.deepEqual(decodeLetters(new Uint8Array(bytes)), {
      function: 'f',
      version: 6,
      letters: [
        { ...letter, record: record([1], [2, 3], 8) },
        {
          ...letter,
          record: record([], [], -8),
          ...(version === 2 && { timer: { arena: 3, instance: 4 } }),
        },
      ],
    })
  })

test('decodeLetters reads version 3, which earlier builds wrote', () => {
  const head = Buffer.from(
    JSON.stringify({
      function: 'f',
      version: 6,
      errors: [{ name: 'E', title: 'E: ', stack: '\n at x', at: 'x' }],
      messages: ['m', 'n'],
      places: [{ stream: 's', partition: 1, producer: '0a' }],
      letters: {
        ...{ error: [0, 0], message: [0, 1], place: [0, 0], sequence: [7, 8], attempts: [2, 1] },
        ...{ timeMs: [8, -8], failedAtMs: [9, 10], keyBytes: [1, 0], valueBytes: [2, 0] },
      },
      timers: [{ letter: 1, arena: 3, instance: 4 }],
    }),
  )
  const bytes = Buffer.concat([Buffer.from([0xcd, 3, 0, 0, 0, 0, 0, 0]), head, Buffer.from([1, 2, 3])])
  bytes.writeUInt32LE(head.length, 4)
  const place = { stream: 's', partition: 1, producer: '0a' }
  const errorOf = (message: string) => ({ name: 'E', message, stack: `E: ${message}\n at x`, at: 'x' })
  assert.deepEqual(decodeLetters(new Uint8Array(bytes)), {
    function: 'f',
    version: 6,
    letters: [
      {
        record: { key: Uint8Array.of(1), value: Uint8Array.of(2, 3), timeMs: 8 },
        ...{ ...place, error: errorOf('m'), sequence: 7, attempts: 2, failedAtMs: 9 },
      },
      {
        record: { key: new Uint8Array(0), value: new Uint8Array(0), timeMs: -8 },
        ...{ ...place, error: errorOf('n'), sequence: 8, attempts: 1, failedAtMs: 10 },
        timer: { arena: 3, instance: 4 },
      },
    ],
  })
})

test('decodeLetters refuses anything else, says what it found, and throws nothing else (LT2)', () => {
  const whole = messageOf({
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
  const wrong = Buffer.from(`12345678{"errors":[${'1,'.repeat(100_000)}1]}`)
  for (const version of [1, 3, 4]) {
    wrong.set([0xcd, version, 0, 0])
    wrong.writeUInt32LE(wrong.length - 8, 4)
    assert.throws(
      () => decodeLetters(wrong),
      ({ message }: Error) => /^Cannot read dead letters: /.test(message) && message.length < 1000,
    )
  }
  assert.throws(
    () => decodeLetters(Uint8Array.of(0xcd, 5, 0, 0, 0, 0, 0, 0)),
    /is of version 5, .* A later build reads it$/,
  )
})

test('LetterBlock divides letters into messages that NATS accepts, in order, even with the largest record', () => {
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
  for (const { bytes, count } of messagesOf({ function: 'f'.repeat(63), version: 1, letters: many })) {
    assert.ok(count <= lettersPerMessageMax)
    assert.ok(bytes.length <= 1024 * 1024 - 512, String(bytes.length))
    const read = decodeLetters(bytes).letters
    assert.equal(read.length, count)
    for (const { sequence, record } of read) {
      sequences.push(sequence)
      assert.equal(record.value.length, many[sequence]!.record.value.length)
    }
  }
  assert.deepEqual(
    sequences,
    Array.from({ length: 1002 }, (_, i) => i),
  )
})

test('LetterBlock has about as much memory as its letters need (LK3)', () => {
  const error = { name: 'E', message: 'm', stack: '' }
  const letter = newLetter({
    ...{ stream: 's', partition: 0, producer: '00', sequence: 0, error, attempts: 1, failedAtMs: 0 },
    record: { key: new Uint8Array(8), value: new Uint8Array(100), timeMs: 0 },
  })
  const before = process.memoryUsage().arrayBuffers
  const blocks = Array.from({ length: 100 }, (_, version) => new LetterBlock('f', version))
  for (const block of blocks) block.add(letter)
  const eachKib = (process.memoryUsage().arrayBuffers - before) / blocks.length / 1024
  assert.ok(eachKib < 8, `${eachKib} KiB`)
  for (const block of blocks) assert.equal(decodeLetters(block.take()[0]!.bytes).letters.length, 1)
})
