import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeManifest } from './manifest.ts'

const metadata = { name: 'score', istreams: { clicks: 'groupBy' }, ostreams: ['verdicts'] }
const callbacks = ['processRecord']

const refusal = (code: string, message: RegExp) => (error: unknown) => {
  const { code: found, message: text } = error as { code: string; message: string }
  assert.equal(found, code, text)
  assert.match(text, message)
  return true
}

test('makeManifest takes name and streams from the code, and defaults for the rest', () => {
  const manifest = makeManifest(metadata, callbacks, undefined)
  assert.deepEqual(manifest.istreams, { clicks: { grouping: 'groupBy', backPressure: 'block' } })
  assert.deepEqual([manifest.name, manifest.instances, manifest.onError], ['score', 1, 'fail'])
})

test('makeManifest prefers the manifest for everything except name and streams', () => {
  const uploaded = {
    name: 'score',
    istreams: { clicks: { grouping: 'groupBy', backPressure: 'none' } },
    onError: 'skip',
    instances: 3,
    env: { A: 'b' },
  }
  const manifest = makeManifest({ ...metadata, onError: 'deadLetter' }, callbacks, uploaded)
  assert.equal(manifest.istreams['clicks']?.backPressure, 'none')
  assert.deepEqual([manifest.onError, manifest.instances, manifest.env], ['skip', 3, { A: 'b' }])
  assert.equal(makeManifest({ ...metadata, onError: 'deadLetter' }, callbacks, {}).onError, 'deadLetter')
})

test('makeManifest takes a grouping that the manifest leaves out from the code', () => {
  const { istreams } = makeManifest(metadata, callbacks, {
    istreams: { clicks: { backPressure: 'dropHead' } },
  })
  assert.deepEqual(istreams, { clicks: { grouping: 'groupBy', backPressure: 'dropHead' } })
  const short = makeManifest(metadata, callbacks, { istreams: { clicks: 'groupBy' } })
  assert.deepEqual(short.istreams, { clicks: { grouping: 'groupBy', backPressure: 'block' } })
})

test('makeManifest names a stream that the code does not have, and the one that was probably meant', () => {
  const code = { ...metadata, istreams: { clicks: 'groupBy', lines: 'shuffle' } }
  const said = (of: unknown, uploaded: object, message: RegExp) =>
    assert.throws(() => makeManifest(of, callbacks, uploaded), refusal('ERR_MANIFEST_CONTRADICTS', message))
  const misspelt = { istreams: { clciks: { backPressure: 'dropHead' } } }
  said(
    metadata,
    misspelt,
    /^Cannot deploy: 'clciks' in the manifest is no input of the code; it has 'clicks'\.$/,
  )
  said(code, misspelt, /it has 'clicks', 'lines'\. Did you mean 'clicks'\?$/)
  said(
    code,
    { istreams: { x: 'groupBy' } },
    /'x' in the manifest is no input of the code; it has 'clicks', 'lines'\.$/,
  )
  said(
    metadata,
    { ostreams: ['verdict'] },
    /'verdict' in the manifest is no output of the code; it has 'verdicts'\.$/,
  )
  said({ name: 'a' }, { ostreams: ['b'] }, /no output of the code; it has none\.$/)
})

test('makeManifest refuses a manifest that contradicts the code', () => {
  const make = (uploaded: object) => () => makeManifest(metadata, callbacks, uploaded)
  assert.throws(make({ name: 'other' }), refusal('ERR_MANIFEST_CONTRADICTS', /'other'.*'score'/))
  assert.throws(make({ ostreams: [] }), refusal('ERR_MANIFEST_CONTRADICTS', /ostreams \(none\).*verdicts/))
  const shuffled = { istreams: { clicks: { grouping: 'shuffle' } } }
  assert.throws(make(shuffled), refusal('ERR_MANIFEST_CONTRADICTS', /clicks: shuffle.*clicks: groupBy/))
})

test('makeManifest names the errors in metadata and manifest', () => {
  const bad = (value: unknown) => () => makeManifest(value, callbacks, undefined)
  assert.throws(
    bad({ name: 'Bad Name' }),
    refusal('ERR_METADATA_INVALID', /'name': expected a lower-case name.*, found "Bad Name"/),
  )
  assert.throws(
    bad({ name: 'a', istreams: { 'Bad!': 'groupBy' } }),
    refusal('ERR_METADATA_INVALID', /istreams/),
  )
  assert.throws(bad({ name: 'a', ostreams: ['../x'] }), refusal('ERR_METADATA_INVALID', /ostreams\.0/))
  assert.throws(bad({ name: 'a', istreams: { b: 'no' } }), refusal('ERR_METADATA_INVALID', /istreams\.b/))
  assert.throws(bad([]), refusal('ERR_METADATA_INVALID', /object/))
  const manifest = (uploaded: unknown) => () => makeManifest(metadata, callbacks, uploaded)
  assert.throws(
    manifest({ instnaces: 2 }),
    refusal('ERR_MANIFEST_INVALID', /unknown key 'instnaces'; did you mean 'instances'\?$/),
  )
  assert.throws(manifest({ instances: -1 }), refusal('ERR_MANIFEST_INVALID', /instances/))
  assert.throws(manifest([1]), refusal('ERR_MANIFEST_INVALID', /./))
  assert.throws(manifest({ env: { A: 'x'.repeat(70_000) } }), refusal('ERR_TOO_LARGE', /manifest/))
})

test('makeManifest merges no own key __proto__, wherever code or manifest has one', () => {
  const hidden = (json: string): unknown =>
    JSON.parse(`{"__proto__":{"onError":"skip","polluted":1},${json}}`)
  const own = JSON.stringify(metadata).slice(1, -1)
  assert.throws(
    () => makeManifest(hidden(own), callbacks, {}),
    refusal('ERR_METADATA_INVALID', /unknown key '__proto__'/),
  )
  const plain = makeManifest(metadata, callbacks, { instances: 2 })
  const inputs = { ...metadata, istreams: hidden('"clicks":"groupBy"') }
  for (const found of [
    makeManifest(metadata, callbacks, hidden('"instances":2')),
    makeManifest(inputs, callbacks, { instances: 2 }),
  ])
    assert.deepEqual(found, plain)
  assert.throws(
    () => makeManifest(metadata, callbacks, { instances: 2, istreams: hidden('"clicks":"groupBy"') }),
    refusal('ERR_MANIFEST_CONTRADICTS', /'__proto__' in the manifest is no input/),
  )
  assert.ok(!('polluted' in {}))
})

test('makeManifest accepts queue budgets only for inputs with queues', () => {
  const input = (more: object) => ({ ...metadata, istreams: { clicks: { grouping: 'groupBy', ...more } } })
  const made = makeManifest(input({ backPressure: 'enqueue', queueMib: 20, queueAgeMs: 5000 }), callbacks, {})
  assert.deepEqual(made.istreams['clicks'], {
    ...{ grouping: 'groupBy', backPressure: 'enqueue', queueMib: 20, queueAgeMs: 5000 },
  })
  const bad = (more: object) => () => makeManifest(input(more), callbacks, {})
  assert.throws(bad({ queueMib: 20 }), refusal('ERR_MANIFEST_INVALID', /queueMib.*asks for 'block'/))
  assert.throws(
    bad({ backPressure: 'none', queueAgeMs: 5000 }),
    refusal('ERR_MANIFEST_INVALID', /queueAgeMs/),
  )
  assert.throws(
    bad({ backPressure: 'dropHead', queueMib: 20, queueAgeMs: 5000 }),
    refusal('ERR_MANIFEST_INVALID', /queueAgeMs, which goes with the back-pressure 'enqueue'/),
  )
  assert.throws(bad({ backPressure: 'dropHead', queueMib: 0 }), refusal('ERR_METADATA_INVALID', /queueMib/))
})

test('makeManifest refuses inputs without processRecord', () => {
  assert.throws(() => makeManifest(metadata, ['init'], {}), refusal('ERR_METADATA_INVALID', /processRecord/))
})

test('makeManifest refuses a heap or state that does not fit the memory of an instance with its own runner', () => {
  const make = (limits: object, memMib: number, more?: object) => () =>
    makeManifest(metadata, callbacks, { limits, resources: { memMib }, ...more })
  assert.throws(
    make({ stateMib: 500 }, 200),
    refusal(
      'ERR_MANIFEST_INVALID',
      /limits\.stateMib is 500, and resources\.memMib of 200 leaves 136 beside the runner, in which the state has no room\. Ask for 564 or more/,
    ),
  )
  const heapFull = refusal(
    'ERR_MANIFEST_INVALID',
    /limits\.heapMib is 1000, and resources\.memMib of 256 leaves 192 beside the runner, in which the heap has no room\. Ask for 1064 or more, or lower limits\.heapMib\.$/,
  )
  assert.throws(make({ heapMib: 1000 }, 256), heapFull)
  assert.throws(make({ heapMib: 1000, stateMib: 500 }, 256), heapFull)
  for (const mib of [
    { limits: { stateMib: 136 }, memMib: 200 },
    { limits: { heapMib: 136, stateMib: 136 }, memMib: 200 },
    { limits: {}, memMib: 160 },
  ])
    make(mib.limits, mib.memMib)()
  make({ heapMib: 1000 }, 16, { instancesPerRunner: 8 })()
  makeManifest(metadata, callbacks, {})
})
