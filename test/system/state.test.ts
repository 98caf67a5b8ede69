/** The state of a function as an operator reads it, while its partitions move between two runners under load (docs/design/0037-state-from-outside.md). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StreamDetail } from '../../sdk/api/readers.ts'
import type { FunctionState } from '../../sdk/api/state.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()
const name = 'known'
const keys = Array.from({ length: 400 }, (_, i) => `key-${i}`)
const rounds = 12

const source = `
import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy } },
  processRecord(ctx, record) { ctx.counter(record.keyText()).add() },
})
`

/** What the key has; undefined: nobody could say. */
function countOf({ instances, unread, keyPartition }: FunctionState): number | undefined {
  const rows = instances.flatMap(({ partitions }) => partitions)
  const own = rows.filter(({ partition }) => partition === keyPartition)
  assert.ok(own.length <= 1, 'a partition is told once')
  if (own.length === 0) {
    assert.ok(
      unread.some(({ partitions }) => partitions.includes(keyPartition!)),
      'it is told, or named',
    )
    return undefined
  }
  assert.ok(own[0]!.found?.counter, 'a key that has a value is never said to have none')
  assert.equal(rows.filter(({ found }) => found !== undefined).length, 1)
  return own[0]!.found.counter.value
}

test('a key is read with its old or its new value, and the list has each key once, while partitions move under load', {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  await platform.deployIn(t, name, source, ['--instances', '2'])
  const { client } = platform
  const detail = await platform.until(name, ({ instancesRunning }) => instancesRunning === 2)
  assert.equal(new Set(detail.instances.map(({ taskId }) => taskId)).size, 2, 'two runners')
  const batch = keys.map((key) => ({ key, value: '' }))
  await client.produce(`${name}-in`, batch)
  await platform.until(name, ({ ledger }) => ledger[0]!.processed === keys.length)

  let isOver = false
  let sent = 1
  const load = (async () => {
    for (; !isOver; sent++) await client.produce(`${name}-in`, batch)
  })()
  const partitions = Array.from({ length: 16 }, (_, partition) => partition)
  const moves = (async () => {
    for (let round = 0; round < rounds; round++) {
      await client.move(name, partitions.slice(1), `${name}-${round % 2}`)
      await platform.until(name, ({ instances }) => (instances[round % 2]?.partitions ?? []).length >= 15)
    }
    isOver = true
  })()
  let [read, unknown, lists, last] = [0, 0, 0, 0]
  const reads = (async () => {
    for (; !isOver; read++) {
      const count = countOf(await client.state(name, { key: keys[read % 2]! }))
      if (count === undefined) unknown++
      else if (read % 2 === 0) {
        assert.ok(count >= last, `${count} after ${last}`)
        last = count
      }
    }
  })()
  /** All pages, unless somebody could not say. */
  const listed = async (): Promise<string[]> => {
    const found: string[] = []
    for (let cursor: string | undefined = '0.0.0'; cursor !== undefined; ) {
      const page: FunctionState = await client.state(name, { limit: 90, cursor })
      if (page.unread.length > 0) return [...keys].sort()
      found.push(
        ...page.instances.flatMap((one) => one.partitions.flatMap((p) => p.listed!.map(({ key }) => key!))),
      )
      cursor = page.cursor
    }
    return found.sort()
  }
  const listing = (async () => {
    for (; !isOver; lists++) assert.deepEqual(await listed(), [...keys].sort())
  })()
  await Promise.all([load, moves, reads, listing]).finally(() => {
    isOver = true
  })
  t.diagnostic(`${rounds * 15} moves, ${read} reads (${unknown} not told), ${lists} lists`)
  assert.ok(read - unknown > rounds)
  assert.ok(lists > 0)

  await platform.until(name, ({ ledger }) => ledger[0]!.processed === sent * keys.length)
  const { stdout } = await platform.cli(['fn', 'state', name, '--prefix', 'key-39'])
  assert.deepEqual(
    stdout
      .match(/key-\d+ .*$/gm)
      ?.map((line) => line.split(/ +/).join(' '))
      .sort(),
    keys
      .filter((key) => key.startsWith('key-39'))
      .map((key) => `${key} counter - ${sent}`)
      .sort(),
  )
  const page = await platform.cli(['fn', 'state', name, '--limit', '7'])
  const cursor = /--cursor (\S+) shows what follows/.exec(page.stderr)![1]!
  const next = await platform.json<FunctionState>([
    'fn',
    'state',
    name,
    '--cursor',
    cursor,
    '--limit',
    '1000',
  ])
  const rest = next.instances.flatMap(({ partitions: all }) => all.flatMap((one) => one.listed!))
  assert.equal(rest.length, keys.length - 7)
  const one = await platform.cli(['fn', 'state', name, keys[0]!])
  assert.match(one.stdout, new RegExp(`counter +- +${sent}$`, 'm'))

  const { readers } = await platform.json<StreamDetail>(['stream', 'inspect', `${name}-in`])
  const lag = readers.map((row) => [row.reader, row.instancesRunning, row.processed, row.inFlight])
  assert.deepEqual(lag, [[name, 2, sent * keys.length, 0]])
  await Reader.start(t, platform, [`${name}-in`, '--hold'])
  await platform.untilSaid(['stream', 'inspect', `${name}-in`], /^follower\.[0-9a-f]{16} +- +block +\d/m)

  await platform.json(['fn', 'scale', name, '0'])
  const none = await platform.cli(['fn', 'state', name, keys[0]!])
  assert.match(none.stderr, /What is stored stays in its checkpoints, and can be read again when one is/)
  assert.notEqual(none.code, 0)
  await platform.json(['fn', 'scale', name, '1'])
  const back = await platform.cli(['fn', 'state', name, keys[0]!])
  assert.match(back.stdout, new RegExp(`counter +- +${sent}$`, 'm'))
})
