/** In a pipeline that does not keep up the function that is to blame is named, wherever one asks (docs/design/0038-who-can-know.md). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { Platform } from './platform.ts'

const small = ['--cpus', '0.05']

function sourceOf(name: string, input: string, output: string | undefined, ms: number): string {
  const sends =
    output === undefined ? 'ctx.nowMs()' : `ctx.produceRecord('${output}', record.key, record.value)`
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { ${input}: groupBy }, ostreams: [${output === undefined ? '' : `'${output}'`}] },
  async processRecord(ctx, record) {
    ${ms === 0 ? '' : `await new Promise((resolve) => setTimeout(resolve, ${ms}))`}
    ${sends}
  },
})
`
}

test('of a pipeline that does not keep up, the slow function at its end is named to each that waits for it, and then a reader that is paused', {
  timeout: 250_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const { client } = platform
  for (const stream of ['a', 'b', 'c']) await client.createStream(stream, { partitions: 1 })
  await platform.deploy('first', sourceOf('first', 'a', 'b', 0), small)
  await platform.deploy('second', sourceOf('second', 'b', 'c', 0), small)
  await platform.deploy('slow', sourceOf('slow', 'c', undefined, 150), small)
  await platform.deploy('quick', sourceOf('quick', 'c', undefined, 0), small)
  const feeding = new AbortController()
  const value = 'x'.repeat(8_000)
  const feed = async (): Promise<void> => {
    while (!feeding.signal.aborted)
      await client
        .produce(
          'a',
          Array.from({ length: 50 }, (_, i) => ({ key: `${i}`, value })),
        )
        .catch(() => undefined)
  }
  const fed = feed()
  t.after(async () => {
    feeding.abort()
    await fed
  })

  const named = ({ heldBackBy = [] }: FunctionDetail) =>
    heldBackBy.map(({ stream, via, reader, cause }) => [stream, via?.join() ?? '', reader, cause].join(' '))
  const untilNamed = async (name: string, wanted: string) => {
    const { heldBackBy } = await platform.until(name, (detail) => named(detail).includes(wanted))
    assert.equal(heldBackBy!.length, 1, `${wanted}, and nobody else`)
    return heldBackBy![0]!
  }
  await untilNamed('slow', 'c  slow slow')
  const by = await untilNamed('first', 'b second slow slow')
  assert.ok(by.donePerSecond! > 1 && by.donePerSecond! < 8, `${by.donePerSecond} a second`)
  assert.deepEqual([by.input, by.instancesBusy], ['c', 1])
  await untilNamed('second', 'c  slow slow')
  await untilNamed('quick', 'c  slow slow')
  const { stdout } = await platform.cli(['stream', 'inspect', 'b'])
  assert.match(
    stdout,
    /^b is held back by second, which waits for slow, which is behind: \d+ records wait for it on c, the oldest for \d.*\/s are done \(`concord fn scale slow N`\)$/m,
  )

  await client.scale('slow', 0)
  await platform.until('slow', ({ instances }) => instances.length === 0)
  await untilNamed('first', 'b second slow ')
})
