import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeAnswer, decodeAsk, encodeAnswer, encodeAsk, type MovedState } from './message.ts'
import type { MoveAnswer } from './moves.ts'

const left = {
  since: 3,
  channels: [
    { stream: 's', partition: 1, producer: 'p', origin: 'o', epoch: 2, through: 2 ** 40 },
    { stream: 's', partition: 1, producer: 'q', origin: 'o', epoch: 2, through: 7, attempts: 2 },
  ],
}
const state = {
  base: { epoch: 4, number: 7 },
  slabs: [1024],
  inputs: {
    s: { lost: 1, positions: [{ producer: 'p', origin: 'o', epoch: 2, through: 9 }] },
    t: { lost: 0, open: { format: 3, records: 8 }, positions: [] },
  },
  pages: Uint32Array.of(0, 5),
  bytes: new Uint8Array(2048).fill(6),
}

test('decodeAsk and decodeAnswer read what encodeAsk and encodeAnswer wrote', () => {
  const ask = { schema: 1, instance: 'f-0', share: 3, epoch: 4, ready: true } as const
  assert.deepEqual(decodeAsk(encodeAsk(ask)), ask)
  const named = { ...ask, owner: '0123456789abcdef' }
  assert.deepEqual(decodeAsk(encodeAsk(named)), named)
  assert.equal(decodeAsk(Buffer.from('{"schema":2}')), undefined)
  const answers: MoveAnswer<MovedState>[] = [
    { ok: true, left, state },
    { ok: true, left: { ...left, next: '0123456789abcdef' }, state },
    { ok: true, left: undefined, state },
    { ok: true, left, state: { ...state, epoch: 9 } },
    { ok: true, left, state: undefined },
    { ok: false, code: 'ERR_MOVE_PREPARED' },
  ]
  for (const answer of answers) assert.deepEqual(decodeAnswer(encodeAnswer(answer)), answer)
})

test('decodeAnswer refuses an image with missing pages', () => {
  const message = encodeAnswer({ ok: true, left, state })
  assert.throws(() => decodeAnswer(message.subarray(0, message.length - 1)), /2 pages in 2047 bytes/)
})
