import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertFails, concord, lastJson } from '../test-cli.ts'

test('fn scale simulate compares reaction with prediction on a shape or a recorded load, and explains invalid input', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'concord-simulate-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const policy = join(folder, 'policy.json')
  const load = join(folder, 'load.csv')
  writeFileSync(policy, '{ "min": 1, "max": 16 }')
  writeFileSync(load, Array.from({ length: 60 }, (_, i) => `${i * 1000},${i < 30 ? 100 : 2000}`).join('\n'))
  const shown = await concord([
    'fn',
    'scale',
    'simulate',
    policy,
    '--shape',
    'days',
    '--day',
    '300',
    '--predict',
    '20',
  ])
  assert.match(shown.stdout, /reactive .*\nrecords\/s [ ▁-█]+ max \d+\ninstances/)
  assert.match(shown.stdout, /REACTIVE +PREDICTIVE\n/)
  assert.match(shown.stdout, /over-provisioned .*\nunder-provisioned .*\nseconds over target/)
  const [run, ...more] = lastJson(
    await concord(['fn', 'scale', 'simulate', policy, '--load', load, '--price', '3.6', '--json']),
  ) as {
    name: string
    cost: number
    instanceSeconds: number
  }[]
  assert.deepEqual([run!.name, more.length], ['reactive', 0])
  assert.equal(Math.round(run!.cost * 1000), run!.instanceSeconds)
  writeFileSync(load, 'nothing\nat all\n')
  assertFails(await concord(['fn', 'scale', 'simulate', policy, '--load', load]), 2, /line 2, 'at all'/)
  writeFileSync(policy, '{ "min": 3, "max": 1 }')
  assertFails(await concord(['fn', 'scale', 'simulate', policy]), 2, /expected a 'min' that is at most 'max'/)
  writeFileSync(policy, '{ "scale": { "min": 1, "max": 2, "targts": {} } }')
  assertFails(
    await concord(['fn', 'scale', 'simulate', policy]),
    2,
    /policy\.json': unknown key 'targts'; did you mean 'targets'\?/,
  )
  writeFileSync(policy, '{ "scale": { "min": 1 } }')
  assertFails(
    await concord(['fn', 'scale', 'simulate', policy]),
    2,
    /'max': expected a number, found nothing/,
  )
  writeFileSync(policy, '{')
  assertFails(await concord(['fn', 'scale', 'simulate', policy]), 2, /policy\.json': it is not JSON: /)
  assertFails(await concord(['fn', 'scale', 'simulate', join(folder, 'none.json')]), 4, /Cannot read/)
  writeFileSync(policy, '{ "scale": { "min": 1, "max": 8 } }')
  assert.match((await concord(['fn', 'scale', 'simulate', policy])).stdout, /over-provisioned/)
  const simulate = (path: string) => concord(['fn', 'scale', 'simulate', path])
  assertFails(await simulate(folder), 4, /Cannot simulate .*: there is no concord\.jsonc in it/)
  assertFails(
    await simulate(join(folder, 'nowhere')),
    4,
    /Cannot simulate .*: there is no such file or folder/,
  )
  writeFileSync(join(folder, 'concord.jsonc'), '{ "scale": { "min": 1, "max": 4 } }')
  assert.match((await simulate(folder)).stdout, /over-provisioned/, 'its code is not asked for')
})
