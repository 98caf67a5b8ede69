import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FormerChannels } from './former-channels.ts'
import { type InChannel, openChannel } from './in-channel.ts'

const minutes = 60_000

function channel(producer: string, more: Partial<InChannel> = {}): InChannel {
  return { ...openChannel({ producer, origin: 'o', epoch: 1 }, 0), ...more }
}
const names = (former: FormerChannels) => [...former].map(({ producer }) => producer)

test('FormerChannels forgets finished channels after ten minutes, and keeps those whose producer may continue (FC1)', () => {
  const former = new FormerChannels()
  former.add(channel('done'), 0)
  former.add(channel('open', { open: 1 }), 0)
  former.add(channel('dropped', { dropped: { late: 3 } }), 0)
  former.add(channel('younger'), 5 * minutes)
  assert.deepEqual(names(former), ['done', 'open', 'dropped', 'younger'])
  assert.deepEqual(former.resume('another', 10 * minutes), {})
  assert.deepEqual(names(former), ['open', 'dropped', 'younger'])
  assert.deepEqual(former.resume('dropped', 10 * minutes), { late: 3 })
  const [open] = former.open()
  open!.open = 0
  assert.deepEqual(former.open(), [])
  former.resume('another', 10 * minutes)
  assert.deepEqual(names(former), ['younger'])
})

test('FormerChannels keeps at most a thousand finished channels, and all with something open (FC1)', () => {
  const former = new FormerChannels()
  former.add(channel('open', { open: 1 }), 0)
  for (let i = 0; i < 3000; i++) former.add(channel(`p${i}`, { dropped: { late: 1 } }), 1)
  const kept = names(former)
  assert.equal(kept.length, 1000)
  assert.deepEqual([kept[0], kept.at(-1)], ['open', 'p2999'])
})
