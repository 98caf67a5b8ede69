import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CheckpointManifest, decodeManifest, encodeManifest } from './manifest.ts'
import { decodePart, encodePart, partPageBytes, partPagesMax } from './part.ts'

const uint32 = fc.nat({ max: 2 ** 32 - 1 })
const segmentId = fc.record({ epoch: uint32, number: uint32 })
const pages = fc
  .array(uint32, { maxLength: partPagesMax, size: 'small' })
  .map((list) => Uint32Array.from(list))
const part = fc.record({ segment: segmentId, index: uint32, pages })

test('decodePart reads what encodePart wrote', () => {
  fc.assert(
    fc.property(part, ({ segment, index, pages }) => {
      const bytes = new Uint8Array(randomBytes(pages.length * partPageBytes))
      const { message, crc } = encodePart({ segment, index, pages, bytes })
      const found = decodePart(message, segment, index)
      assert.deepEqual(found.pages, pages)
      assert.deepEqual(Buffer.from(found.bytes), Buffer.from(bytes))
      assert.equal(found.crc, crc)
    }),
  )
})

test('decodePart refuses a part with a changed byte, of another length, or with another number', () => {
  fc.assert(
    fc.property(part, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ segment, index, pages }, at, change) => {
      const bytes = new Uint8Array(pages.length * partPageBytes)
      const { message } = encodePart({ segment, index, pages, bytes })
      const refused = (found: Uint8Array, id = segment, number = index): void =>
        assert.throws(() => decodePart(found, id, number), { code: /^ERR_CHECKPOINT_(CORRUPT|FORMAT)$/ })
      const place = at % message.length
      if (place !== 5) {
        const changed = message.slice()
        changed[place]! ^= change
        refused(changed)
      }
      refused(message.subarray(0, place))
      refused(Buffer.concat([message, new Uint8Array(change)]))
      refused(message, segment, index ^ 1)
      refused(message, { ...segment, number: segment.number ^ 1 })
      refused(message, { ...segment, epoch: segment.epoch ^ 1 })
    }),
  )
})

test('decodePart refuses garbage with an error of its own', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
      assert.throws(() => decodePart(bytes, { epoch: 1, number: 1 }, 0), { code: 'ERR_CHECKPOINT_CORRUPT' })
    }),
  )
})

const hexId = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const count = fc.nat({ max: 2 ** 48 })
const checkpoint = fc.record(
  {
    epoch: uint32,
    number: uint32,
    timeMs: count,
    version: count,
    clean: fc.boolean(),
    slabs: fc.array(count),
    commitWord: fc.integer(),
    segments: fc.array(
      fc.record({
        epoch: uint32,
        number: uint32,
        parts: fc.integer({ min: 1, max: 5000 }),
        pages: fc.integer({ min: 1 }),
        crc: uint32,
      }),
    ),
    inputs: fc.dictionary(
      fc.stringMatching(/^[a-z]{1,8}$/),
      fc.record(
        {
          lost: count,
          open: fc.record({ format: count, records: count }),
          positions: fc.array(fc.record({ producer: hexId, origin: hexId, epoch: uint32, through: count })),
        },
        { requiredKeys: ['lost', 'positions'] },
      ),
      { noNullPrototype: true },
    ),
  },
  {
    requiredKeys: ['epoch', 'number', 'timeMs', 'version', 'clean', 'slabs', 'segments', 'inputs'],
    noNullPrototype: true,
  },
)
const manifest = fc.record(
  { schema: fc.constant(1 as const), epoch: uint32, current: checkpoint, previous: checkpoint },
  { requiredKeys: ['schema', 'epoch'], noNullPrototype: true },
)

test('decodeManifest reads what encodeManifest wrote', () => {
  fc.assert(
    fc.property(manifest, (written) => {
      const plain = structuredClone(written) // without prototypes of null
      assert.deepEqual(decodeManifest(encodeManifest(written as CheckpointManifest), '3'), plain)
    }),
  )
})

test('decodeManifest says what is wrong', () => {
  const read = (text: string) => () => decodeManifest(new TextEncoder().encode(text), '3')
  assert.throws(read('{"schema":1'), { code: 'ERR_CHECKPOINT_CORRUPT', message: /of 3: found 11 bytes/ })
  assert.throws(read('null'), { code: 'ERR_CHECKPOINT_CORRUPT' })
  assert.throws(read('{"schema":1,"epoch":-1}'), { code: 'ERR_CHECKPOINT_CORRUPT', message: /epoch/ })
  assert.throws(read('{"schema":2}'), {
    code: 'ERR_CHECKPOINT_FORMAT',
    message: /format is 2, this build reads 1/,
  })
})
