/** Windows of several sizes and JSON in state, as a deployed function uses them: over a deploy, and with records that use them wrongly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetterSummary } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()
const name = 'sums'
const minuteMs = 60_000

const source = (days: number): string => `
import { defineFunction, groupBy } from 'concord'
const every = ${minuteMs}
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'], onError: 'deadLetter' },
  processRecord(ctx, record) {
    const { key, timeMs } = record
    const minutes = ctx.windows(key, { size: every })
    const day = ctx.windows(key, { size: ${days} * 86_400_000, every })
    if (record.text() === 'off') day.sum(timeMs + 1)
    if (record.text() === 'map') ctx.value('seen').set({ keys: new Map([[1, 2]]) })
    const latest = ctx.value<number>(key)
    const ended = minutes.ended(latest.get() ?? timeMs, timeMs).map((start) => minutes.close(start))
    latest.set(timeMs)
    day.add(timeMs)
    ctx.produceRecord('${name}-out', key, JSON.stringify([ended, day.sumUntil(timeMs)]))
  },
})
`

test('the sums of a day go on while its minutes are closed, over an idle time and a deploy that makes the day longer', {
  timeout: 200_000,
}, async (t) => {
  const platform = started()
  await platform.deployIn(t, name, source(1))
  const reader = await Reader.start(t, platform, [`${name}-out`, '--hold'])
  const startMs = Date.UTC(2026, 0, 1)
  const send = (minute: number, value: string) => ({
    key: 'anna',
    value,
    timeMs: startMs + minute * minuteMs,
  })
  const first = [0, 0, 1, 10, 600].map((minute) => send(minute, ''))
  await platform.client.produce(`${name}-in`, [...first, send(700, 'off'), send(700, 'map')])
  await reader.read(5)
  const sums = () => reader.records.map(({ value }) => JSON.parse(String(value)) as unknown)
  assert.deepEqual(sums(), [
    [[], 1],
    [[], 2],
    [[2], 3],
    [[1], 4],
    [[1], 5],
  ])

  await platform.deploy(name, source(2))
  await platform.client.produce(
    `${name}-in`,
    [2000, 3400].map((minute) => send(minute, '')),
  )
  await reader.read(7)
  assert.deepEqual(sums().slice(5), [
    [[1], 6],
    [[1], 3],
  ])

  await platform.until(name, ({ errors }) => errors === 2)
  const letters = await platform.json<DeadLetterSummary[]>(['dlq', 'ls', name])
  const said = letters.map((letter) => JSON.stringify(letter)).sort()
  assert.match(said.join('\n'), /start at multiples of 60000, the nearest are \d+ and \d+/)
  assert.match(said.join('\n'), /the value\.keys is a Map, and \{\} would come back/)
  assert.equal(letters.length, 2)
})
