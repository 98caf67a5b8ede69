import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { SingleIsolate } from '../isolate/index.ts'
import { fn, frame, nowMs, record, start } from '../isolate/testing/harness.ts'
import { beginState } from './begin-state.ts'

/** Each leaves an entry of its own, and brings none over. */
const source = fn(`ctx.setJson(record.keyText(), 1)`, `migrate() { throw new Error('of an older one') },`)

test('beginState refuses a version that cannot read the state before it gets a record', async (t) => {
  const begun = async (version: number, from?: SingleIsolate) => {
    const format = { own: version, kept: version }
    const { instance } = await start(source, { version, format })
    t.after(() => instance.kill())
    if (from === undefined) return instance
    await instance.takeOver(from)
    await from.destroy().catch(() => undefined)
    return instance
  }
  const ended: number[] = []
  const begins = (isolate: SingleIsolate, version: number) =>
    beginState(isolate, { function: 'f', version } as FunctionAssignment, () => ended.push(version))
  let isolate = await begun(1)
  for (let version = 1; version <= 15; version++) {
    if (version > 1) isolate = await begun(version, isolate)
    await begins(isolate, version)
    const { fatal, failures } = await isolate.run([frame([record('', `key ${version}`)])], nowMs)
    assert.deepEqual([fatal, failures], [undefined, []])
  }
  const sixteenth = await begun(16, isolate)
  await assert.rejects(begins(sixteenth, 16), {
    code: 'ERR_INIT_FAILED',
    message: /Cannot start version 16 of f: .* 1 partitions.*concord fn rollback f/s,
  })
  assert.deepEqual(ended, [16])
  assert.equal(sixteenth.isEnded, true)
})
