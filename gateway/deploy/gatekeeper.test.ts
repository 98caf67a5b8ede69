import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NatsConnection } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { decodeGateAsk, encodeGate } from '../../infra/control/index.ts'
import type { InstanceStatus, VersionDocument } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { noGateEvidence } from '../../sdk/versions/gate.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { Gatekeeper } from './gatekeeper.ts'

test('Gatekeeper gives the instances of one runner a shared time limit, since they are judged one after another', async () => {
  const limits = new Map<string, number>()
  const request = (_: string, data: Uint8Array) => {
    const { instance, limitMs } = decodeGateAsk(data)!
    limits.set(instance, limitMs)
    return Promise.resolve({ data: encodeGate({ ok: true, evidence: noGateEvidence() }) })
  }
  const nc = { request } as unknown as NatsConnection
  const gatekeeper = new Gatekeeper({ nc, namespace: 'ns', clock: new ManualClock(0) })
  const at = (id: string, taskId: string) => ({ id, taskId, state: 'running' }) as InstanceStatus
  const instances = [at('fn-0', 'packed'), at('fn-1', 'packed'), at('fn-2', 'alone')]
  const live = { name: 'fn', document: { version: 1, instances: 3 }, status: { instances } }
  const version = { version: 1, bundleSha256: 'a', manifest: manifestSchema.parse({ name: 'fn' }) }
  const good = version as VersionDocument
  const report = await gatekeeper.judge(live as unknown as LiveFunction, good, { ...good, partitions: {} })
  assert.equal(report.instances, 3)
  assert.deepEqual(Object.fromEntries(limits), { 'fn-0': 5_000, 'fn-1': 5_000, 'fn-2': 10_000 })
})

test('Gatekeeper tells a version which formats of state there were before, as a deploy does', async () => {
  let format: unknown
  const request = (_: string, data: Uint8Array) => {
    format = decodeGateAsk(data)!.next.format
    return Promise.resolve({ data: encodeGate({ ok: true, evidence: noGateEvidence() }) })
  }
  const nc = { request } as unknown as NatsConnection
  const gatekeeper = new Gatekeeper({ nc, namespace: 'ns', clock: new ManualClock(0) })
  const document = { version: 3, instances: 1, formatsBefore: [1] }
  const status = { instances: [{ id: 'fn-0', taskId: 'task', state: 'running' }] }
  const live = { name: 'fn', document, status } as unknown as LiveFunction
  const manifest = manifestSchema.parse({ name: 'fn' })
  const good = { version: 3, bundleSha256: 'a', manifest, stateFormat: 2 } as VersionDocument
  await gatekeeper.judge(live, good, { ...good, partitions: {} })
  assert.deepEqual(format, { own: 2, kept: 2, before: [1] })
})
