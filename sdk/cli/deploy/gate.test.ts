import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { problem } from '../../client/test-gateway.ts'
import { differenceText } from '../../versions/difference-text.ts'
import { type GateReport, noGateEvidence } from '../../versions/gate.ts'
import { concord, gatewayOf, temporaryFolder } from '../test-cli.ts'
import { gateText } from '../text/gate-text.ts'

const reason = 'it throws at 40 records at which the live version does not'
const gate: GateReport = {
  ...{ name: 'tally', from: 1, tookMs: 100, instances: 1, instancesOf: 1 },
  evidence: noGateEvidence(),
  breaches: [reason],
}

test('a deploy that its gate blocks says why once', async (t) => {
  const detail = `Cannot let this version of 'tally' follow v1: ${reason}.`
  const { env } = await gatewayOf(t, () => problem(422, 'ERR_GATE_BLOCKS', detail, { gate }))
  const file = join(temporaryFolder(t), 'tally.ts')
  writeFileSync(file, "export default { metadata: { name: 'tally' } }")
  const { code, stderr } = await concord(['fn', 'deploy', file], { env })
  assert.equal(code, 6, stderr)
  assert.match(stderr, /tally, tested beside v1 .* 1 of 1 instances\n/)
  assert.equal(stderr.split(reason).length - 1, 1, stderr)
})

test('a dry run sends exactly what the deploy sends, so that both are judged alike', async (t) => {
  const answer = { name: 'tally', version: 1, changed: false }
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: answer }))
  const file = join(temporaryFolder(t), 'tally.ts')
  writeFileSync(file, "export default { metadata: { name: 'tally' } }")
  const sizes = ['--instances', '2', '--mem', '128', '--cpus', '0.5']
  const words = [
    'fn',
    'deploy',
    file,
    ...sizes,
    '--rolling',
    '1',
    '--drain',
    '--accept',
    '--message',
    'smaller',
  ]
  for (const how of ['--no-wait', '--dry-run']) await concord([...words, how], { env })
  const [deploy, dryRun] = received
    .filter(({ method }) => method === 'POST')
    .map(({ path, headers, body }) => {
      const boundary = headers['content-type']!.split('boundary=')[1]!
      const { dryRun, ...query } = Object.fromEntries(new URL(path, 'http://gateway').searchParams)
      return { dryRun, query, body: body.toString().replaceAll(boundary, '') }
    })
  assert.equal(deploy!.query['instances'], '2')
  assert.deepEqual(dryRun, { ...deploy, dryRun: 'true' })
})

test('gateText says that a version was accepted in spite of its gate', () => {
  const last = (ofVersion?: string) => gateText(gate, ofVersion).split('\n').at(-1)
  assert.equal(last(), `Its gate stops it: ${reason}.`)
  assert.equal(last('v2'), `It was deployed although its gate objects: ${reason}.`)
})

test('gateText says that nothing was judged if no record could be compared', () => {
  const text = gateText({ ...gate, breaches: [] })
  assert.match(text, /^ {2}match {5}no record could be compared$/m)
  assert.match(text, /^ {2}time {6}not measured: /m)
  assert.match(text, /^It passes its gate untested: .*'gate.minRecords' requires some\)\.$/m)
})

test('differenceText separates the name of each version from its output', () => {
  const output = { stream: 'tallies', timeMs: 0, key: 'k7', value: '1' }
  const difference = {
    ...{ stream: 'visits', partition: 0, sequence: 1, key: 'k7', value: 'v' },
    live: { outputs: [output] },
    shadow: { outputs: [], error: 'RangeError: no seven' },
  }
  const lines = differenceText(difference, 'the new one', 'v1').split('\n')
  assert.deepEqual(lines.slice(1), [
    '    v1           tallies "k7": "1"',
    '    the new one  threw RangeError: no seven',
  ])
})
