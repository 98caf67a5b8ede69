import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concord, gatewayOf } from '../test-cli.ts'

test('fn versions says of a version that does not start that it does not, and why', async (t) => {
  const common = { deployedAtMs: 0, bundleSha256: 'abc', bundleBytes: 3, changes: [], assets: {} }
  const notStarting = 'score-0 has failed 2 times in a row, last: initFailed: init threw'
  const list = [{ version: 1, state: 'rollingOut', notStarting, ...common }]
  const { env } = await gatewayOf(t, () => ({ status: 200, json: { versions: list } }))
  const { stdout } = await concord(['fn', 'versions', 'score'], { env })
  assert.match(stdout, /^v1 +not starting +1970/m)
  assert.match(
    stdout,
    /^v1 does not start: score-0 has failed 2 times in a row, last: initFailed: init threw$/m,
  )
})
