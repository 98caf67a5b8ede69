/**
 * The whole platform on a cluster of three nats-servers: each in turn is killed and comes back, and records flow all the while.
 * Nobody is killed who holds records, so nothing may be missing, twice or out of order (I5, I7), timers and state included. Beside
 * that load the clicks functions, fed and read by the command line.
 * @module
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateTraffic } from '../../functions/demo/generator.ts'
import { assertEachOnce } from './load/clicks.ts'
import { Load } from './load/load.ts'
import { Platform, Reader } from './platform.ts'

/** In the long mode so many kills; else each server once. */
const kills = Number(process.env['CONCORD_NATS_KILLS'] ?? 3)
/** Lines of the clicks demo, by `concord produce`. */
const linesPerKill = 500
const clicks = join(import.meta.dirname, '../../functions/clicks')
const clientOf = (line: string): string => line.slice(0, line.indexOf(' '))
const size = ['--agents', '2', '--schedulers', '1', '--nats', '3']

interface Member {
  readonly name: string
  readonly state: string
  readonly pid?: number
}

test(`three nats-servers, killed in turn ${kills} times under load: nothing lost, nothing twice, in order`, {
  timeout: 300_000 + kills * 60_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  const serverOf = async (name: string) =>
    (await platform.json<Member[]>(['cluster', 'ls'])).find((member) => member.name === name)!
  for (const name of ['parse', 'score']) await platform.json(['fn', 'deploy', join(clicks, `${name}.ts`)])
  const reader = await Reader.start(t, platform, ['verdicts', '--hold'])
  const lines = generateTraffic(1, kills * linesPerKill).lines[Symbol.iterator]()
  const load = await Load.start(t, platform, { name: 'steady', timersPerMillion: 1000, keepsState: true })
  const sent = new Map<string, number>()
  for (let kill = 0; kill < kills; kill++) {
    const name = `nats-${(kill % 3) + 1}`
    const before = await serverOf(name)
    await load.kill(name)
    const said = Array.from({ length: linesPerKill }, () => lines.next().value!)
    const records = said.map((line) => JSON.stringify({ key: clientOf(line), value: line }))
    await platform.json(['produce', 'lines', '--ndjson'], `${records.join('\n')}\n`)
    for (const client of said.map(clientOf)) sent.set(client, (sent.get(client) ?? 0) + 1)
    for (let now = before; now.pid === before.pid || now.state !== 'up'; await sleep(100))
      now = await serverOf(name)
  }
  await reader.read(kills * linesPerKill)
  await reader.end()
  const { loss, unaccounted, sunk, verdict, text, ...judged } = await load.judged()
  assert.deepEqual([loss, unaccounted], [0, 0], text)
  assert.equal(verdict.counts['output'], judged.sent)
  assert.ok(sunk.timersSet > 0)
  assert.equal(sunk.timersFired, sunk.timersSet)
  const seen = new Map<string, number[]>()
  for (const { value } of reader.records) {
    const { client, count } = JSON.parse(String(value)) as { client: string; count: number }
    seen.set(client, [...(seen.get(client) ?? []), count])
  }
  assertEachOnce(sent, seen)
})
