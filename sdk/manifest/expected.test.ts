import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { wrongOf, wrongText } from './expected.ts'
import { manifestSchema } from './manifest.ts'

function wrong(manifest: unknown): string | undefined {
  const checked = manifestSchema.safeParse(manifest)
  return checked.success ? undefined : wrongText(wrongOf(checked.error.issues[0]!, manifest))
}

const with_ = (more: object) => wrong({ name: 'a', ...more })

test('wrongOf names the position, what was expected and what was found', () => {
  assert.equal(wrong(3), 'expected an object {…}, found 3')
  assert.equal(wrong({}), "'name': expected text in quotes, found nothing")
  assert.match(wrong({ name: 'Bad' })!, /^'name': expected a lower-case name: .*, found "Bad"$/)
  assert.equal(with_({ instances: 'two' }), `'instances': expected a number, found "two"`)
  assert.equal(with_({ instances: -1 }), "'instances': expected a number of at least 0, found -1")
  assert.equal(with_({ instances: 1.5 }), "'instances': expected a whole number, found 1.5")
  assert.equal(
    with_({ limits: { heapMib: 1e6 } }),
    "'limits.heapMib': expected a number of at most 65536, found 1000000",
  )
  assert.equal(with_({ env: { A: 3 } }), "'env.A': expected text in quotes, found 3")
  assert.equal(with_({ ostreams: ['ok', null] }), "'ostreams.1': expected text in quotes, found null")
  assert.equal(
    with_({ ostreams: new Array(65).fill('a') })?.replace(/found .*/, 'found …'),
    "'ostreams': expected at most 64 entries, found …",
  )
  assert.equal(
    with_({ logLevel: 'loud' }),
    `'logLevel': expected one of "debug", "info", "warn", "error", found "loud"`,
  )
  assert.equal(
    with_({ istreams: ['w', 'x'] }),
    `'istreams': expected streams with their groupings, as in { "w": "groupBy" }, found ["w","x"]`,
  )
  assert.match(with_({ istreams: 3 })!, /as in { "words": "groupBy" }, found 3$/)
  assert.equal(with_({ instnaces: 1 }), "unknown key 'instnaces'")
  assert.match(
    with_({ istreams: { 'Bad Name': { grouping: 'groupBy' } } })!,
    /^'istreams\.Bad Name': expected a lower-case name.*, found the key "Bad Name"$/,
  )
})

test('wrongOf names all allowed forms of a value, or what is wrong inside the form that it has', () => {
  assert.equal(
    with_({ onError: 'explode' }),
    `'onError': expected one of "fail", "skip", "deadLetter", or an object {…}, found "explode"`,
  )
  assert.equal(
    with_({ onError: { retry: 3 } }),
    `'onError.then': expected one of "fail", "skip", "deadLetter", found nothing`,
  )
  assert.equal(
    // biome-ignore lint/suspicious/noThenProperty: it is the manifest's word for what follows the retries
    with_({ onError: { retry: 0, then: 'skip' } }),
    "'onError.retry': expected a number of at least 1, found 0",
  )
})

test('wrongOf describes any invalid manifest', () => {
  const keys = [...Object.keys(manifestSchema.shape), 'other']
  const manifest = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(fc.constantFrom(...keys), fc.jsonValue(), { maxKeys: 4 }),
  )
  fc.assert(
    fc.property(manifest, (value) => {
      const text = wrong(value)
      if (text !== undefined) assert.match(text, /expected|unknown key/)
    }),
    { numRuns: 500 },
  )
})
