import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { decodeCommand, encodeCommand } from './command.ts'
import type { FunctionAssignment, TaskCommand } from './messages/assignment.ts'

function assignmentOf(count: number, partitions: number): TaskCommand {
  const names = Array.from({ length: count }, (_, i) => `function-${i}`)
  const owned = Array.from({ length: partitions }, (_, p) => p)
  const functions = names.map((name): [string, FunctionAssignment] => {
    const manifest = manifestSchema.parse({ name, istreams: { in: { grouping: 'groupBy' } } })
    const bundleSha256 = name.padEnd(64, '0')
    return [name, { function: name, version: 1, bundleSha256, manifest, streams: {}, groupings: {} }]
  })
  const instances = names.map((name) => ({
    ...{ id: `${name}-0`, function: name, index: 0, epoch: 1, partitions: { in: owned } },
  }))
  const assignment = { taskId: 't', generation: 1, functions: Object.fromEntries(functions), instances }
  return { kind: 'assign', leaderEpoch: 1, assignment: { schema: 3, packed: true, ...assignment } }
}

test('encodeCommand fits an assignment of 256 functions with 1024 partitions each into one message', () => {
  for (const command of [assignmentOf(1, 16), assignmentOf(256, 1024)]) {
    const bytes = encodeCommand(command)
    assert.ok(bytes.length < 512 * 1024, `${bytes.length}`)
    assert.deepEqual(decodeCommand(bytes), command)
  }
})

test('decodeCommand returns undefined for anything that is not a command', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.equal(decodeCommand(bytes), undefined)))
  const packed = encodeCommand(assignmentOf(256, 1024))
  assert.equal(decodeCommand(packed.subarray(0, 1000)), undefined)
  assert.equal(
    decodeCommand(Buffer.from('{"kind":"assign","leaderEpoch":1,"assignment":{"schema":1}}')),
    undefined,
  )
})
