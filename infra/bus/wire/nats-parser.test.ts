import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NatsParser } from './nats-parser.ts'

type Heard = readonly [string, ...unknown[]]

/** Feeds bytes in pieces of the given sizes, through one buffer as a socket does, and answers what was heard. */
function hear(bytes: Uint8Array, sizes: readonly number[]): Heard[] {
  const heard: Heard[] = []
  const parser = new NatsParser(
    {
      info: (json) => heard.push(['info', json]),
      message: (sid, subject, payload) => heard.push(['message', sid, subject, [...payload]]),
      ping: () => heard.push(['ping']),
      pong: () => heard.push(['pong']),
      error: (text) => heard.push(['error', text]),
    },
    (size) => new Uint8Array(size),
  )
  const buffer = Buffer.alloc(64)
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.min(sizes[i % sizes.length]!, bytes.length - at)
    buffer.fill(0x0a).set(bytes.subarray(at, at + size))
    parser.feed(buffer, size)
    at += size
  }
  return heard
}

const token = fc.stringMatching(/^[a-z0-9_]{1,8}$/)
const sent = fc.oneof(
  fc.constant({ text: 'PING\r\n', heard: ['ping'] as Heard }),
  fc.constant({ text: 'PONG\r\n', heard: ['pong'] as Heard }),
  fc.constant({ text: '+OK\r\n', heard: undefined }),
  fc.constant({ text: 'INFO {"a":1}\r\n', heard: ['info', '{"a":1}'] as Heard }),
  fc.constant({ text: "-ERR 'Stale Connection'\r\n", heard: ['error', 'Stale Connection'] as Heard }),
  fc.record({
    subject: fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('.')),
    sid: fc.oneof(fc.nat(2), fc.nat(9999)),
    reply: fc.option(token, { nil: undefined }),
    payload: fc.uint8Array({ maxLength: 200 }),
  }),
)

test('NatsParser reads the same messages however the bytes are cut (A1), and copies payloads (A2)', () => {
  fc.assert(
    fc.property(fc.array(sent), fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }), (all, sizes) => {
      const parts: Uint8Array[] = []
      const expected: Heard[] = []
      for (const one of all) {
        if ('text' in one) {
          parts.push(Buffer.from(one.text))
          if (one.heard !== undefined) expected.push(one.heard)
          continue
        }
        const { subject, sid, reply, payload } = one
        const words = ['MSG', subject, sid, ...(reply === undefined ? [] : [reply]), payload.length]
        parts.push(Buffer.from(`${words.join(' ')}\r\n`), payload, Buffer.from('\r\n'))
        expected.push(['message', sid, subject, [...payload]])
      }
      assert.deepEqual(hear(Buffer.concat(parts), sizes), expected)
    }),
    { numRuns: 1000 },
  )
})

test('NatsParser refuses bytes that are not the protocol (A3)', () => {
  for (const line of ['HELLO', 'MSG a 1', 'MSG a x 5', 'MSG a 1 -5', 'MSG a 1 1e99', ''])
    assert.throws(() => hear(Buffer.from(`${line}\r\n`), [64]), /a (control line|message) '/, line)
  assert.throws(() => hear(Buffer.alloc(2 * 1024 * 1024, 'a'), [64]), /a control line of \d+ bytes/)
})
