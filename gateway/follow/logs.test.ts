import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jetstreamManager } from '@nats-io/jetstream'
import { namespace, sourceOf, startPlatform, until } from '../testing/platform.ts'

test('the log of a new function does not contain lines of an earlier one with its name', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  const { streams } = await jetstreamManager(platform.nc, { checkAPI: false })
  const subjectOf = (name: string) => `concord.${namespace}.c.log.${name}`
  const kept = async (name: string) => {
    const { state } = await streams.info('concord-logs', { subjects_filter: subjectOf(name) })
    return state.subjects?.[subjectOf(name)] ?? 0
  }
  await until('there is a stream of logs', () =>
    kept('phoenix').then(
      () => true,
      () => false,
    ),
  )
  for (const name of ['phoenix', 'other']) platform.nc.publish(subjectOf(name), '{"message":"of old"}')
  await until('the lines are kept', async () => (await kept('phoenix')) + (await kept('other')) === 2)

  const deploy = async (output: string) => {
    const code = { body: sourceOf('phoenix', [], [output]) }
    assert.equal((await platform.call('POST', '/v1/functions?file=phoenix.ts', code)).status, 200)
  }
  await deploy('ashes')
  assert.deepEqual([await kept('phoenix'), await kept('other')], [0, 1])
  const log = await platform.call('GET', '/v1/functions/phoenix/logs')
  assert.equal(await log.text(), '')

  platform.nc.publish(subjectOf('phoenix'), '{"message":"of v1"}')
  await until('its own line is kept', async () => (await kept('phoenix')) === 1)
  await deploy('flames')
  assert.equal(await kept('phoenix'), 1, 'another version keeps the log')
})
