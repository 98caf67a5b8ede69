import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePorts } from './free-ports.ts'

test('freePorts answers ports that differ, that nobody has, and that the system gives to nobody else', async (t) => {
  const ports = await freePorts(200)
  assert.equal(new Set(ports).size, 200)
  const first = Number.parseInt(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
  assert.ok(
    first <= 29_999 || ports.every((port) => port < first),
    `${ports} are below the system's own, from ${first} on`,
  )
  for (const port of ports.slice(0, 3)) {
    const server = createServer().listen(port, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
  }
})
