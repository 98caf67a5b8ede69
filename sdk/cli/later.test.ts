import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf } from './test-cli.ts'

const noScheduler = 'no scheduler has led for 9 s: nothing is placed, changed or restarted'
const unheard = 'this gateway has heard nothing over NATS for 9 s'
const detail = {
  ...{ name: 'f', version: 1, live: 1, instancesRunning: 1, instancesWanted: 1 },
  ...{ instances: [], istreams: [], ostreams: [], ledger: [], letters: [] },
}
const answers = { changed: true, homes: [], pinned: false, instances: 2, bundleSha256: 'x', bundleBytes: 1 }

test('a change that nobody will carry out now is not promised: whoever does not wait is told why it waits', async (t) => {
  const { env } = await gatewayOf(t, ({ method, path }) => {
    if (path.endsWith('/versions')) return { status: 200, json: { versions: [] } }
    return { status: 200, json: method === 'GET' ? { ...detail, noScheduler } : { ...detail, ...answers } }
  })
  for (const words of ['scale f 2', 'move f 1 --to f-0', 'rollback f --to 1', 'rm f']) {
    const { code, stderr } = await concord(['fn', ...words.split(' '), '--no-wait'], { env })
    assert.equal(code, 0, stderr)
    assert.ok(stderr.includes(`It waits: ${noScheduler}\n`), `${words}: ${stderr}`)
  }
})

test('who waits in vain is told that nobody leads, or that the gateway hears nobody', async (t) => {
  for (const cut of [{ noScheduler }, { unheard }]) {
    const { env } = await gatewayOf(t, ({ method, path }) => {
      if (method !== 'GET') return { status: 200, json: { ...detail, ...answers } }
      return {
        status: 200,
        json: path.endsWith('/functions') ? { functions: [detail] } : { ...detail, ...cut },
      }
    })
    for (const words of ['scale f 2', 'move f 1 --to f-0', 'rm f'])
      assertFails(
        await concord(['fn', ...words.split(' '), '--timeout', '0.1'], { env }),
        7,
        new RegExp(`${'unheard' in cut ? '; but' : ':'} ${Object.values(cut)[0]}; 'concord fn inspect f'`),
      )
  }
})
