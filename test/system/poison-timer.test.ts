import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { DeadLetter, DeadLetterSummary, FunctionDetail, RedriveAnswer } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

/** A record is the key of a timer, and when it is due. */
function source(name: string, onError: string): string {
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: {
    name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'], onError: ${onError},
  },
  processRecord(ctx, record) {
    const [key, atMs] = record.text().split(' ')
    ctx.setTimer(key!, Number(atMs))
    ctx.produceRecord('${name}-out', 'record', key!)
  },
  processTimer(ctx, key) {
    if (key === 'loop') for (;;);
    if (key === 'bomb') for (const all = []; ; ) all.push(new Array(1000).fill(all))
    if (key === 'abort') 'x'.repeat(2 ** 28).split('')
    if (key === 'throw') throw new Error('no such tick')
    ctx.produceRecord('${name}-out', 'timer', key)
  },
})
`
}

interface Case {
  readonly name: string
  readonly onError: string
  readonly poison: string
  readonly dropped: Readonly<Record<string, number>>
  readonly attempts?: number
}

const cases: readonly Case[] = [
  { name: 'skips', onError: `'skip'`, poison: 'loop', dropped: { skipped: 1 } },
  {
    ...{ name: 'retries', onError: `{ retry: 2, then: 'deadLetter' }`, poison: 'loop' },
    ...{ dropped: { deadLettered: 1 }, attempts: 3 },
  },
  { name: 'bombs', onError: `'deadLetter'`, poison: 'bomb', dropped: { deadLettered: 1 }, attempts: 1 },
  { name: 'fails', onError: `'fail'`, poison: 'loop', dropped: { failed: 1 } },
  { name: 'aborts', onError: `'deadLetter'`, poison: 'abort', dropped: { deadLettered: 1 }, attempts: 1 },
  { name: 'throws', onError: `'deadLetter'`, poison: 'throw', dropped: { deadLettered: 1 }, attempts: 1 },
]

const good = Array.from({ length: 40 }, (_, i) => `t${i}`)

test('a timer that ends its runner is tried as often as the policy says, then skipped or put aside; timers and records beside it go on', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  // A gateway takes four uploads at once.
  for (const some of [cases.slice(0, 3), cases.slice(3)])
    await Promise.all(some.map(({ name, onError }) => deploy(platform, name, source(name, onError))))
  const armed = await Promise.all(cases.map((one) => arm(t, platform, one)))
  await Promise.all(armed.map((one) => check(platform, one)))

  // The author mends it, and has the timer called that was put aside.
  const out = await Reader.start(t, platform, ['throws-out', '--hold'])
  await deploy(platform, 'throws', source('throws', `'deadLetter'`).replace("key === 'throw'", 'false'))
  const { redriven, timers } = await platform.json<RedriveAnswer>(['dlq', 'redrive', 'throws'])
  assert.deepEqual([redriven, timers], [1, 1])
  await platform.until('throws', () => hasFired(out, 'throw'))
  assert.deepEqual(await platform.json(['dlq', 'ls', 'throws']), [])
})

interface Armed extends Case {
  readonly out: Reader
  readonly dueMs: number
}

/** Sets the timers, and waits for a checkpoint that has them: one that is in none is gone with a process that aborts. */
async function arm(t: TestContext, platform: Platform, one: Case): Promise<Armed> {
  const { name, poison } = one
  const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
  const dueMs = Date.now() + 15_000
  const lines = [...good.slice(0, 20), poison, ...good.slice(20)]
  await platform.json(['produce', `${name}-in`], lines.map((key) => `${key} ${dueMs}`).join('\n'))
  const kept = await platform.until(name, (d) => d.ledger[0]!.processed === lines.length)
  await platform.until(name, (d) => isLater(d, kept.instances[0]!.checkpoint?.atMs))
  assert.ok(Date.now() < dueMs, `${name}: stored before it is due`)
  return { ...one, out, dueMs }
}

async function check(platform: Platform, one: Armed): Promise<void> {
  const { name, poison, attempts, dropped, out, dueMs } = one
  const isGone = ({ instances, state }: FunctionDetail): boolean =>
    state === 'running' && isDeepStrictEqual(instances[0]!.timersDropped, dropped)
  await platform.until(name, (d) => isGone(d) && good.every((timer) => hasFired(out, timer)))
  await platform.json(['produce', `${name}-in`], `after ${dueMs}`)
  await platform.until(name, () => hasFired(out, 'after'))

  const letters = await platform.json<DeadLetterSummary[]>(['dlq', 'ls', name])
  assert.equal(letters.length, attempts === undefined ? 0 : 1, name)
  if (attempts === undefined) return
  const shown = await platform.json<DeadLetter>(['dlq', 'show', letters[0]!.id])
  const { timer, key, version, timeMs, error } = shown
  assert.deepEqual(
    { timer, key, version, timeMs },
    { timer: true, key: poison, version: 1, timeMs: dueMs },
    name,
  )
  assert.equal(shown.attempts, attempts, name)
  if (poison === 'loop')
    assert.match(error.message, /the timer for \S+ in partition \d+ \(key 'loop'\) took longer/)
  if (poison === 'loop' || poison === 'throw') assert.match(error.at!, /^(retries|throws)\.ts:\d+:\d+$/)
}

async function deploy(platform: Platform, name: string, text: string): Promise<void> {
  const file = join(platform.home, `${name}.jsonc`)
  const settings = { limits: { callbackMs: 400 }, checkpoint: { everyMs: 200 } }
  writeFileSync(join(platform.home, `${name}.ts`), text)
  writeFileSync(file, JSON.stringify({ main: `./${name}.ts`, ...settings }))
  await platform.json(['deploy', file])
}

function hasFired(out: Reader, timer: string): boolean {
  return out.records.some(({ key, value }) => key === 'timer' && value === timer)
}

function isLater({ instances }: FunctionDetail, atMs = 0): boolean {
  return (instances[0]?.checkpoint?.atMs ?? 0) > atMs
}
