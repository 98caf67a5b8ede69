import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metricsReference, path } from './metrics-reference.ts'
import { listFiles, readSource } from './sources.ts'

test('docs: docs/reference/metrics.md is what the processes measure', () => {
  assert.equal(readSource(path), metricsReference(), 'run: node test/style/metrics-reference.ts')
})

test('docs: no metric is made elsewhere than in the registries that docs/reference/metrics.md is made from', () => {
  const page = metricsReference()
  const sources = listFiles('{gateway,infra,runner,scheduler}/**/*.ts').filter(
    (file) => !file.includes('test'),
  )
  const makers = sources.filter((file) => /new (Counter|Gauge|Histogram|Summary)\b/.test(readSource(file)))
  assert.ok(makers.length >= 3, makers.join(', '))
  const named = makers.flatMap((file) =>
    [...readSource(file).matchAll(/\bconcord_[a-z_]+[a-z]\b/g)].map(([name]) => name),
  )
  assert.ok(named.length >= 30)
  assert.deepEqual(
    named.filter((name) => !page.includes(`\`${name}\``)),
    [],
  )
})
