/** A reader that does not start stops no other reader of its stream, and is named (docs/design/0002-channels.md, "A consumer without an owner"). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Platform } from './platform.ts'

const sourceOf = (name: string, init: string): string => `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { shared: groupBy } },
  ${init}
  processRecord(ctx) { ctx.nowMs() },
})
`

test('a reader that does not start leaves the others at work, and fn why names it', {
  timeout: 100_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('good', sourceOf('good', ''))
  await assert.rejects(platform.deploy('bad', sourceOf('bad', "init() { throw new Error('as asked') },")))
  for (let sent = 1; sent <= 3; sent++) {
    await platform.client.produce('shared', [{ key: 'a', value: 'after' }])
    await platform.until('good', ({ ledger }) => ledger[0]?.processed === sent)
  }
  const { heldBackBy } = await platform.until('good', ({ heldBackBy: [by] = [] }) => by?.records === 3)
  assert.deepEqual(
    heldBackBy?.map(({ stream, reader }) => [stream, reader]),
    [['shared', 'bad']],
  )
})
