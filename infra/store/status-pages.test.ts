import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceStatus, StatusDocument } from './documents.ts'
import { pageInstances, pagesOf, statusOf } from './status-pages.ts'

function statusOfMany(count: number): StatusDocument {
  const instances = Array.from({ length: count }, (_, index): InstanceStatus => {
    const lastExit = { code: 1, reason: 'crashed', message: 'x'.repeat(400), atMs: 0 }
    const place = { taskId: `default_some-function_${index}_1_abcdefg`, agent: 'agent', hostname: 'host' }
    const counts = { generation: 1, generationSeen: 1, restarts: 0, since: 0 }
    return { id: `f-${index}`, index, epoch: 1, version: 1, state: 'running', ...place, ...counts, lastExit }
  })
  const ended = { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] }
  return { schema: 1, function: 'f', version: 1, instances, ended }
}

test('pagesOf keeps each document small, and statusOf joins them again', () => {
  for (const count of [0, 1, pageInstances, pageInstances + 1, 1_024]) {
    const status = statusOfMany(count)
    const { head, pages } = pagesOf(status)
    for (const document of [head, ...pages]) assert.ok(JSON.stringify(document).length < 16 * 1024)
    assert.equal(head.pages ?? 0, pages.length)
    assert.deepEqual(statusOf(head, pages), status)
  }
})

test('pagesOf leaves a status of few instances as one document', () => {
  const status = statusOfMany(pageInstances)
  assert.deepEqual(pagesOf(status), { head: status, pages: [] })
})

test('statusOf shows no instance twice while pages are being written (SP2)', () => {
  const before = pagesOf(statusOfMany(40))
  const shifted = statusOfMany(40)
  const after = pagesOf({ ...shifted, instances: shifted.instances.slice(1) })
  const mixed = statusOf(after.head, before.pages)
  assert.equal(new Set(mixed.instances.map(({ id }) => id)).size, mixed.instances.length)
})
