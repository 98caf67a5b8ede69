import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { identityOf, isAlive, parseStat, signalGroup } from './process-identity.ts'

test('parseStat reads a line whatever the name of the program, and refuses half a line', () => {
  const line = `42 (a) (b c) S ${Array.from({ length: 40 }, (_, i) => i).join(' ')}\n`
  assert.deepEqual(parseStat(line), { pid: 42, startTicks: 18, state: 'S' })
  assert.equal(parseStat(line.trimEnd()), undefined)
  assert.equal(parseStat('42 (sh) S 1\n'), undefined)
  assert.equal(parseStat(''), undefined)
})

test('signalGroup signals the group of a process, and not a later one with the same id', async (t) => {
  const child = spawn('sleep', ['60'], { detached: true, stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  const identity = identityOf(child.pid!)!
  assert.ok(isAlive(identity))
  assert.equal(signalGroup({ ...identity, startTicks: identity.startTicks + 1 }, 'SIGKILL'), false)
  assert.ok(isAlive(identity))
  assert.ok(signalGroup(identity, 'SIGTERM'))
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGTERM'])
  assert.equal(isAlive(identity), false)
})
