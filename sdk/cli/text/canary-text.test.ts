import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CanaryView } from '../../api/canary.ts'
import { canaryText, quietText, sidesText, waitText } from './canary-text.ts'

const side = (records: number) => ({ records, errors: 0, outputs: records, ms: records })

function view(records: number, more: Partial<CanaryView> = {}): CanaryView {
  return {
    ...{ version: 2, from: 1, step: 0, steps: [10], percent: 10, sinceMs: 0, bakeMs: 6_000, minRecords: 500 },
    ...{ passed: [], waitsFor: [], canaryP99Us: 870, controlP99Us: 10, windows: 0, slower: 0 },
    ...{ canary: side(records), control: side(records) },
    ...more,
  }
}

test('canaryText says what it waits for before the first record, and for how long', () => {
  assert.equal(
    canaryText(view(0), 3_200),
    'canary    v2 has 10 % of the keys beside v1, for 3 of 6 s\n  no record yet of its keys, nor of the others that it is compared with',
  )
  const [head] = canaryText(view(3), 7_000).split('\n')
  assert.equal(
    head,
    'canary    v2 has 10 % of the keys beside v1, for 7 s; it waits for records of its keys, has 3 of the 500 that a step needs',
  )
})

test('waitText says what a step lacks when its time is over', () => {
  const diff = { compared: 7 } as NonNullable<CanaryView['diff']>
  assert.match(waitText(view(600, { diff })), /waits for records to compare, has 7 of the 500/)
  assert.equal(waitText(view(0, { waitsFor: ['mine-1: waiting'] })), 'waits for 1 instance')
  assert.match(waitText(view(600, { windows: 11, slower: 7 })), /^waits for more windows/)
  assert.equal(waitText(view(600, { windows: 11, slower: 5 })), 'is being judged')
})

test('waitText says that a step waits because more records failed than are allowed', () => {
  const failing = { canary: { ...side(600), errors: 5 }, maxErrors: 0.001 }
  assert.match(waitText(view(600, failing)), /^waits for more records, since more failed than are allowed$/)
  assert.equal(waitText(view(600, { ...failing, maxErrors: 0.01 })), 'is being judged')
  const asMany = { ...side(600), errors: 9 }
  assert.equal(waitText(view(600, { ...failing, control: asMany })), 'is being judged')
})

test('sidesText shows a ratio only if both sides have enough records', () => {
  assert.equal(
    sidesText(view(60)),
    '60 records beside 60, 0 failed where the version before did not, too few yet to compare outputs and time',
  )
  assert.equal(
    sidesText(view(600, { windows: 4, slower: 1 })),
    '600 records beside 600, 0 failed where the version before did not, outputs 1.00 ×, slower than allowed in 1 of 4 windows (p99 of all so far: 870 µs beside 10)',
  )
  assert.match(
    sidesText(view(600, { windows: 11, slower: 7 })),
    /7 of 11 windows \(.*\), which may be chance$/,
  )
  assert.match(sidesText(view(600, { control: side(79), windows: 4 })), /too few yet to compare outputs$/)
})

test('sidesText says so if a side sends nothing', () => {
  const silent = { ...side(600), outputs: 0 }
  assert.match(sidesText(view(600, { canary: silent, control: silent })), /before did not, no outputs, /)
  assert.match(sidesText(view(600, { control: silent })), /, 600 outputs beside none, /)
  assert.match(sidesText(view(600, { canary: silent })), /, outputs 0\.00 ×, /)
})

test('quietText names the steps to which no record came', () => {
  assert.equal(quietText({ quietAt: [10, 50] }), ', but no record came at 10 % and 50 % of the keys')
  assert.equal(quietText({}), '')
})
