/**
 * A function and the one that it sends to are killed at the same moment, between two heartbeats: nobody is left who knows
 * what was under way between them, and yet no more is missing than is called unaccounted (I7; docs/design/0002-channels.md).
 *
 * All inputs of the first one are acknowledged by then, so the hop before answers for nothing of what is missing. And its
 * last heartbeat knew of less: the allowance alone answers for the rest.
 * @module
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { subjects } from '../../infra/bus/index.ts'
import { decodeCredit } from '../../infra/bus/messages/credit.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { FunctionDetail, Ledger } from '../../sdk/api/index.ts'
import { parseFrame } from '../../sdk/wire/frame.ts'
import { connectLoad, namespace } from './load/connection.ts'
import { writeProject } from './load/steps.ts'
import { Platform } from './platform.ts'

const records = 200
/** A heartbeat that comes between the records and the kill knows all: once more, then. */
const roundsMax = 6

const sourceOf = (
  name: string,
  from: string,
  to: string,
  body: string,
): string => `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${from}': groupBy }, ostreams: ['${to}'] },
  processRecord(ctx, record) { ${body}; ctx.produceRecord('${to}', record.key, record.value) },
})
`
/** It is still at the first of the records when both are killed: an end that comes sooner would be one of its own. */
const limits = { callbackMs: 300_000 }
const ponders = `if (record.text() === 'ponder') for (;;);`

/** Sees what passes over NATS. */
class Witness {
  /** Records of the first function's output, and of the second one's. */
  readonly seen = { middle: 0, ends: 0 }
  /** What the first one had in flight at its last heartbeat, by process. */
  readonly reported = new Map<number, number>()
  /** How many inputs of the first one are acknowledged, by channel. */
  readonly #through = new Map<string, number>()
  #wake: () => void = () => undefined

  static async of(t: TestContext, platform: Platform): Promise<Witness> {
    const wire = await connectLoad(platform.home, platform.natsUrl, 'witness')
    t.after(() => wire.close())
    const witness = new Witness()
    const hear = (subject: string, take: (bytes: Uint8Array) => void): void => {
      wire.subscribe(subject, (bytes) => {
        take(bytes)
        witness.#wake()
      })
    }
    for (const stream of ['middle', 'ends'] as const)
      hear(subjects.partitionSubject(namespace, stream, '*'), (bytes) => {
        witness.seen[stream] += parseFrame(bytes).count
      })
    hear(subjects.heartbeatSubject(namespace, '*'), (bytes) => witness.#onHeartbeat(bytes))
    hear(subjects.creditSubject(namespace, '*'), (bytes) => witness.#onCredit(bytes))
    await wire.flush()
    return witness
  }

  get acknowledged(): number {
    return [...this.#through.values()].reduce((sum, through) => sum + through, 0)
  }

  async until(wanted: () => boolean): Promise<void> {
    while (!wanted())
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  #onHeartbeat(bytes: Uint8Array): void {
    const { pid, instances } = JSON.parse(Buffer.from(bytes).toString()) as Heartbeat
    const outputs = instances.find((one) => one.function === 'passes')?.outputs
    const row = outputs?.find(({ consumer }) => consumer === 'ponders')
    if (row !== undefined) this.reported.set(pid, row.sent - row.acked)
  }

  #onCredit(bytes: Uint8Array): void {
    const { consumer, entries } = decodeCredit(bytes)
    if (consumer !== 'passes') return
    for (const { stream, partition, through } of entries) {
      const channel = `${stream}.${partition}`
      this.#through.set(channel, Math.max(through, this.#through.get(channel) ?? 0))
    }
  }
}

const runs = ({ state, instances: [one] }: FunctionDetail) => state === 'running' && one?.pid !== undefined

test('two functions in a row killed at once: what is missing is at most what is unaccounted (I7)', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('passes', sourceOf('passes', 'lines', 'middle', ''))
  const second = sourceOf('ponders', 'middle', 'ends', ponders)
  await platform.json(['fn', 'deploy', writeProject(platform.home, 'ponders', second, { limits })])
  const witness = await Witness.of(t, platform)
  /** In this order: when the first one is back, the account of its last process is in what the second one is asked for. */
  const both = async (wanted: (detail: FunctionDetail) => boolean = () => true) => {
    const first = await platform.until('passes', (detail) => runs(detail) && wanted(detail))
    return [first, await platform.until('ponders', (detail) => runs(detail) && wanted(detail))]
  }
  let sent = 0
  /** One key, so one frame, of which an owner says as soon as it begins that it has it. */
  const send = async (value: string, count: number): Promise<void> => {
    await platform.client.produce('lines', Array(count).fill({ key: 'k', value }))
    sent += count
    await witness.until(() => witness.acknowledged === sent)
  }
  let before = { missing: 0, unaccounted: 0 }
  for (let round = 1; ; round++) {
    const pids = (await both()).map(({ instances: [one] }) => one!.pid!)
    const [first] = pids as [number]
    await send('pass', 1) // who looks for the owner of a partition says so in a heartbeat: that one is to be over
    await witness.until(() => witness.seen.ends === sent - before.missing)
    witness.reported.delete(first)
    await witness.until(() => witness.reported.get(first) === 0)
    await send('ponder', records)
    for (const pid of pids) process.kill(pid, 'SIGKILL')

    const ended = ({ instances: [one], ledger: [row] }: FunctionDetail): boolean =>
      !pids.includes(one!.pid!) && row!.inFlight === 0
    const [hop, judged] = (await both(ended)).map(({ ledger: [row] }) => row!) as [Ledger, Ledger]
    assert.deepEqual([hop.processed, hop.unaccounted], [sent, 0], 'the hop before answers for nothing')
    assert.equal(witness.seen.middle, sent)
    assert.equal(judged.sent, judged.processed + judged.unaccounted, JSON.stringify(judged))
    const all = { missing: sent - witness.seen.ends, unaccounted: judged.unaccounted }
    const missing = all.missing - before.missing
    const unaccounted = all.unaccounted - before.unaccounted
    const reported = witness.reported.get(first)!
    const told = `${records} records, ${missing} missing, ${unaccounted} unaccounted, ${reported} reported`
    t.diagnostic(`round ${round}: ${told}`)
    assert.equal(missing, records)
    assert.ok(missing <= unaccounted, told)
    assert.ok(unaccounted <= records * 1.25 + 16, `a quarter more than was out, and 16: ${told}`)
    if (missing > reported) return
    assert.ok(round < roundsMax, 'a heartbeat came between in each of the rounds')
    before = all
  }
})
