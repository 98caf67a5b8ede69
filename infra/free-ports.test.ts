import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { freePorts } from './free-ports.ts'

test('freePorts returns different ports that are free and outside the range that the system assigns', async (t) => {
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

test('freePorts reserves a port for one process as long as that lives (FP1)', async (t) => {
  const url = new URL('./free-ports.ts', import.meta.url)
  const script = `
    import { freePorts } from '${url}'
    console.log(JSON.stringify(await freePorts(300)))
    process.stdin.resume()`
  const given = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      t.after(() => child.kill('SIGKILL'))
      const [line] = await once(createInterface({ input: child.stdout }), 'line')
      return JSON.parse(String(line)) as number[]
    }),
  )
  assert.equal(new Set(given.flat()).size, 1200)
})
