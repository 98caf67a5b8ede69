import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CodedError } from '../../sdk/errors.ts'
import { boundaryOf, readMultipart } from './multipart.ts'

const limits = { manifest: 1000, bundle: 5000 }

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function encode(boundary: string, parts: readonly (readonly [string, Buffer])[]): Buffer {
  const pieces = parts.flatMap(([name, data]) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="x"\r\nContent-Type: a/b\r\n\r\n`,
    ),
    data,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)])
}

const code = async (run: Promise<unknown>): Promise<string> =>
  await run.then(
    () => 'taken',
    (error: CodedError) => error.code,
  )

test('readMultipart reads what was written, however it is cut into chunks', async () => {
  const near = fc.constantFrom('\r\n--b', '\r\n--bx', '\r\n', '--b--', '\r', 'a')
  const data = fc.array(near, { maxLength: 20 }).map((parts) => Buffer.from(parts.join('')))
  await fc.assert(
    fc.asyncProperty(
      data,
      fc.uint8Array({ maxLength: 900 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      async (a, b, sizes) => {
        const boundary = 'bound-ary'
        const body = encode(boundary, [
          ['bundle', a],
          ['manifest', Buffer.from(b)],
        ])
        const parts = await readMultipart(cut(body, sizes), boundary, limits)
        assert.deepEqual(
          [...parts],
          [
            ['bundle', a],
            ['manifest', Buffer.from(b)],
          ],
        )
      },
    ),
  )
})

test('readMultipart throws only refusals on arbitrary bytes', async () => {
  const piece = fc.constantFrom(
    '--b',
    '\r\n',
    '--',
    'Content-Disposition: form-data; name="bundle"',
    ' ',
    'x',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      const found = await code(readMultipart(cut(Buffer.from(pieces.join('')), [7]), 'b', limits))
      assert.match(found, /^(taken|ERR_REQUEST_INVALID|ERR_TOO_LARGE)$/)
    }),
  )
})

test('readMultipart refuses a part beyond its limit before the rest has arrived (M2)', async () => {
  let pulled = 0
  async function* endless(): AsyncGenerator<Uint8Array> {
    yield encode('b', [['bundle', Buffer.alloc(10)]]).subarray(0, -10)
    for (;;) {
      pulled += 1
      yield Buffer.alloc(1000)
    }
  }
  assert.equal(await code(readMultipart(endless(), 'b', limits)), 'ERR_TOO_LARGE')
  assert.ok(pulled <= 6)
})

test('readMultipart refuses unknown, repeated and unfinished parts, and endless headers', async () => {
  const run = (body: Buffer) => code(readMultipart(cut(body, [100]), 'b', limits))
  assert.equal(await run(encode('b', [['other', Buffer.alloc(1)]])), 'ERR_REQUEST_INVALID')
  const twice = encode('b', [
    ['bundle', Buffer.alloc(1)],
    ['bundle', Buffer.alloc(1)],
  ])
  assert.equal(await run(twice), 'ERR_REQUEST_INVALID')
  assert.equal(await run(encode('b', [['bundle', Buffer.alloc(1)]]).subarray(0, -6)), 'ERR_REQUEST_INVALID')
  assert.equal(await run(Buffer.from(`--b\r\n${'x'.repeat(20_000)}`)), 'ERR_REQUEST_INVALID')
  assert.equal(await run(Buffer.alloc(0)), 'ERR_REQUEST_INVALID')
})

test('boundaryOf reads quoted and bare boundaries', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=----abc'), '----abc')
  assert.equal(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"'), 'a b')
  assert.throws(() => boundaryOf('multipart/form-data'), /boundary/)
})
