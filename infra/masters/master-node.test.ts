import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCode } from '../../sdk/errors.ts'
import { leaderOf, urlOf } from './master-node.ts'
import { parseMastersUrl } from './masters-url.ts'

const node = (name: string) => leaderOf([name])!
const json = (info: unknown) => urlOf(node('json.info_0000000001'), Buffer.from(JSON.stringify(info)))

test('leaderOf finds the lowest master among other nodes', () => {
  const names = ['log_replicas', 'json.info_0000000011', 'info_0000000009', 'json.info_0000000010', 'info_1']
  assert.equal(leaderOf(names)?.name, 'info_0000000009')
  assert.equal(leaderOf(['log_replicas', 'json.info_x']), undefined)
})

test('urlOf reads from a master its address, else its pid, else its hostname', () => {
  const address = { hostname: 'm1.example', ip: '10.0.0.1', port: 5051 }
  const info = { id: 'x', ip: 16_777_343, port: 5050, pid: 'master@10.0.0.2:5052', hostname: 'm1' }
  assert.equal(json({ ...info, address }), 'http://10.0.0.1:5051')
  assert.equal(json({ ...info, address: { hostname: 'm1.example', port: 5051 } }), 'http://m1.example:5051')
  assert.equal(json({ ...info, address: { ip: '::1', port: 5050 } }), 'http://[::1]:5050')
  assert.equal(json(info), 'http://10.0.0.2:5052')
  assert.equal(json({ hostname: 'm1' }), 'http://m1:5050')
  for (const bad of [{}, [], null, { pid: 'nobody' }, { address: { port: 'x' } }])
    assert.equal(json(bad), undefined)
})

test('urlOf reads the protobuf of a master before 1.0, and rejects everything else', () => {
  const text = (field: number, value: string) =>
    Buffer.concat([Buffer.of((field << 3) | 2, value.length), Buffer.from(value)])
  const number = (field: number, ...varint: number[]) => Buffer.of(field << 3, ...varint)
  const message = [
    text(1, 'id'),
    number(2, 0xff, 0x80, 0x80, 0x08),
    number(3, 0xba, 0x27),
    text(4, 'master@10.0.0.3:5050'),
  ]
  const old = node('info_0000000001')
  assert.equal(urlOf(old, Buffer.concat([...message, text(5, 'm3')])), 'http://10.0.0.3:5050')
  assert.equal(urlOf(old, Buffer.concat(message).subarray(0, -1)), undefined)
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void urlOf(old, bytes)))
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void urlOf(node('json.info_0000000001'), bytes)))
})

test('parseMastersUrl accepts what Mesos accepts, and never shows a password', () => {
  const { servers, root, user, password } = parseMastersUrl('zk://me:p:w@zk1,zk2:2182/mesos')
  assert.deepEqual(
    [servers.map(({ port }) => port), root, user, password],
    [[2181, 2182], '/mesos', 'me', 'p:w'],
  )
  for (const bad of [
    'zk://',
    'zk://zk1',
    'zk://zk1/',
    'zk://a:b@/mesos',
    'zk://hunter2@zk1/mesos',
    'zk://:hunter2@zk1:x/mesos',
  ])
    assert.throws(
      () => parseMastersUrl(bad),
      (error: Error) => isCode(error, 'ERR_MASTERS_URL') && !error.message.includes('hunter2'),
      bad,
    )
})
