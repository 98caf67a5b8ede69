import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changeText, replacedText } from './remarks.ts'

test('changeText says what the manifest no longer sets, and of a rollout only that this version has none', () => {
  assert.equal(
    changeText({ what: 'limits.heapMib', was: '128', is: '64' }),
    'limits.heapMib is 64 again: the manifest no longer says 128',
  )
  assert.equal(
    changeText({ what: 'scale', was: '{"min":1,"max":4}', is: 'nothing' }),
    'scale is not set: the manifest no longer says {"min":1,"max":4}',
  )
  assert.equal(
    changeText({ what: 'onError', was: '"skip"', is: '"fail"' }),
    'onError is "fail" again: neither the code nor the manifest says "skip"',
  )
  assert.equal(
    changeText({ what: 'rollout.canary', was: '{"steps":[10,50],"bakeMs":3000}', is: 'nothing' }),
    'without rollout.canary, which the version before had',
  )
  assert.equal(
    changeText({ what: 'rollout.canary.bakeMs', was: '5000', is: '60000' }),
    'rollout.canary.bakeMs is 60000 again: the last deploy said 5000',
    'an option may have said it',
  )
})

test('replacedText says who brought the bytes that an asset has, and whether the new ones are those of an earlier version', () => {
  const had = { version: 9, message: 'asset push model.json\n\nmore', author: 'ada' }
  assert.equal(
    replacedText({ asset: 'model.json', had, again: 1 }),
    'asset model.json goes back to the bytes of v1: those it has came with v9 (asset push model.json, by ada); a deploy without the file keeps them',
  )
  assert.equal(
    replacedText({ asset: 'model.json', had: { version: 9 } }),
    'asset model.json gets other bytes: those it has came with v9',
  )
})
