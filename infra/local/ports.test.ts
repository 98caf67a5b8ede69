import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuseUnfetched } from './ports.ts'

test('the ports that are refused are those that fetch refuses', async () => {
  const isRefused = (port: number): boolean => {
    try {
      refuseUnfetched({ port, free: false, flag: '--gateway-port' })
      return false
    } catch {
      return true
    }
  }
  const ports = Array.from({ length: 65_536 }, (_, port) => port).filter(isRefused)
  assert.equal(ports.length, 82)
  for (const port of ports)
    await assert.rejects(
      fetch(`http://127.0.0.1:${port}`),
      (error: Error) => (error.cause as Error).message === 'bad port',
      `${port}`,
    )
})
