import assert from 'node:assert/strict'
import { test } from 'node:test'
import { phase, type Timer } from '../../../sdk/runtime/index.ts'
import { frame, record } from '../testing/harness.ts'
import { atHand, keyText } from './at-hand.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const at = (now: number, timer?: Timer) => ({ phase: now, timerAtHand: { read: () => timer } })

test('atHand names the record by stream, partition, producer and key, whatever was skipped before it', () => {
  const frames = [frame([record('1', 'anna'), record('2', 'ben')], 3, 10), frame([record('3', 'carl')], 4, 7)]
  const said = (done: number) => atHand(at(phase.records), frames, () => done)
  assert.match(said(1), /^the record 11 of producer [0-9a-f]{16} in 'in'\/3 \(key 'ben'\)$/)
  assert.match(said(2), /^the record 7 of .* in 'in'\/4 \(key 'carl'\)$/)
  const skipped = frames.map((one) => ({ ...one, skip: 1 }))
  assert.match(
    atHand(at(phase.records), skipped, () => 0),
    /^the record 11 .*'ben'/,
  )
  assert.equal(said(3), 'a batch')
})

test('atHand names a timer by its time, partition and key', () => {
  const timer = { partition: 1024 + 5, key: 'anna', timeMs: 1_700_000_000_000 }
  assert.equal(
    atHand(at(phase.timers, timer), [], () => 0),
    "the timer for 2023-11-14T22:13:20.000Z in partition 5 (key 'anna')",
  )
  const never = { ...timer, timeMs: Number.MAX_SAFE_INTEGER }
  assert.match(
    atHand(at(phase.timers, never), [], () => 0),
    /^the timer for 9007199254740991 ms in/,
  )
  assert.equal(
    atHand(at(phase.timers), [], () => 0),
    'a timer',
  )
})

test('keyText shows a key as text if it is text, else in hex, and cuts a long one', () => {
  assert.equal(keyText(bytes('grüße, 世界')), "key 'grüße, 世界'")
  assert.equal(keyText(new Uint8Array(0)), 'no key')
  assert.equal(keyText(Uint8Array.of(0, 255, 16)), 'key 0x00ff10')
  assert.equal(keyText(bytes('a\u001b[31m')), 'key 0x611b5b33316d', 'nothing that a terminal would obey')
  assert.equal(keyText(bytes('x'.repeat(100))), `key '${'x'.repeat(64)}'… of 100 bytes`)
  assert.equal(keyText(bytes(`${'x'.repeat(63)}ü and more`)), `key '${'x'.repeat(63)}'… of 74 bytes`)
})
