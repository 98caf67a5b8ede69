import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noShadowEvidence, type ShadowView, shadowSummary } from '../../versions/shadow.ts'
import { shadowLine, shadowText } from './shadow-text.ts'

function view(compared: number): ShadowView {
  const evidence = { ...noShadowEvidence(), records: compared, compared }
  const times = { sinceMs: 0, untilMs: 5000, bakeMs: 5000 }
  return {
    name: 'shout',
    version: 2,
    from: 1,
    state: 'over',
    instances: 1,
    instancesOf: 1,
    ...times,
    evidence,
  }
}

test('a shadow with nothing compared has no share of matches', () => {
  for (const text of [shadowLine(view(0)), shadowText(view(0)), shadowSummary(view(0).evidence)])
    assert.doesNotMatch(text, /100\.00/)
  for (const text of [shadowLine(view(3)), shadowText(view(3)), shadowSummary(view(3).evidence)])
    assert.match(text, /100\.00 %/)
})

test('a shadow that was not timed says why', () => {
  const few = view(300)
  assert.match(
    shadowText(few),
    /^ {2}time {6}not measured: the first 1000 records in each instance are left out/m,
  )
  const evidence = { ...few.evidence, timed: 200, ms: { live: 10, shadow: 20 } }
  assert.match(shadowText({ ...few, evidence }), /^ {2}time {6}2\.00 × /m)
})
