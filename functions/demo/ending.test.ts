import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endPlatform } from './ending.ts'
import type { Platform } from './platform.ts'
import type { Screen } from './screen.ts'

/** @returns What a demo that ends so has said and done. */
async function ended(keep: boolean): Promise<string> {
  const events: string[] = []
  const platform = {
    ...{ home: '/tmp/demo', isUp: true },
    close: async () => events.push('closed'),
  } as unknown as Platform
  const screen = {
    note: (text: string) => events.push(text),
    step: (text: string, work: () => Promise<void>) => work().then(() => events.push(text)),
  } as unknown as Screen
  await endPlatform(platform, screen, { keep, commands: ['concord fn scale desk --why'] })
  return events.join('\n')
}

test('endPlatform takes the platform away', async () => {
  assert.equal(await ended(false), 'closed\nStopping the platform')
})

test('endPlatform with --keep says how to use the platform, and how to stop it so that nothing of it stays', async () => {
  const said = await ended(true)
  const lines = said.split('\n').map((line) => line.trim())
  for (const line of ['export CONCORD_HOME=/tmp/demo', 'concord fn scale desk --why'])
    assert.ok(lines.includes(line), said)
  assert.equal(lines.at(-1), 'concord down && rm -r "$CONCORD_HOME" && unset CONCORD_HOME')
})
