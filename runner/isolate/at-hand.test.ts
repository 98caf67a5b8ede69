import assert from 'node:assert/strict'
import { test } from 'node:test'
import { phase } from '../../sdk/runtime/index.ts'
import { atHand, keyText } from './at-hand.ts'
import { frame, record } from './harness.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('atHand names the record by stream, partition, producer and key, whatever is skipped before it', () => {
  const frames = [frame([record('1', 'anna'), record('2', 'ben')], 3, 10), frame([record('3', 'carl')], 4, 7)]
  const said = (done: number) => atHand(phase.records, frames, () => done)
  assert.match(said(1), /^the record 11 of producer [0-9a-f]{16} in 'in'\/3 \(key 'ben'\)$/)
  assert.match(said(2), /^the record 7 of .* in 'in'\/4 \(key 'carl'\)$/)
  const skipped = frames.map((one) => ({ ...one, skip: 1 }))
  assert.match(
    atHand(phase.records, skipped, () => 0),
    /^the record 11 .*'ben'/,
  )
  assert.equal(said(3), 'a batch')
})

test('keyText shows a key as text if it is text, else in hex, and the beginning of a long one', () => {
  assert.equal(keyText(bytes('grüße, 世界')), "key 'grüße, 世界'")
  assert.equal(keyText(new Uint8Array(0)), 'no key')
  assert.equal(keyText(Uint8Array.of(0, 255, 16)), 'key 0x00ff10')
  assert.equal(keyText(bytes('a\u001b[31m')), 'key 0x611b5b33316d', 'nothing that a terminal would obey')
  assert.equal(keyText(bytes('x'.repeat(100))), `key '${'x'.repeat(64)}'… of 100 bytes`)
  assert.equal(keyText(bytes(`${'x'.repeat(63)}ü and more`)), `key '${'x'.repeat(63)}'… of 74 bytes`)
})
