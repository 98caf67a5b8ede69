/**
 * `concord produce` and `concord consume` outlive the gateway that they talk to: it is killed under them, and they go on with the next
 * one. What was accepted is processed once, what may have been is said to be unknown, and a reader has, or is told to have missed,
 * all that came out.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { Beside } from './beside.ts'
import { pidOf } from './load/faults.ts'
import { Platform, startCli } from './platform.ts'

const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'pass', istreams: { lines: groupBy }, ostreams: ['passed'] },
  processRecord(ctx, record) { ctx.produceRecord('passed', record.key, record.text()) },
})
`
const records = 2_000

test('produce and consume go on when their gateway is killed: nothing twice, nothing missing that is not said', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('pass', source)
  const readers = [
    new Said(t, platform, ['consume', 'passed', '--json']),
    new Said(t, platform, ['consume', 'passed', '--json', '--hold']),
  ]
  for (const reader of readers) await reader.until(({ stderr }) => /following passed/.test(stderr))
  const producer = new Said(t, platform, ['produce', 'lines', '--key', 'k', '--rate', '1000', '--json'])
  producer.child.stdin!.end(Array.from({ length: records }, (_, i) => `${i}\n`).join(''))
  for (const reader of readers) await reader.until(({ lines }) => lines.length > records / 8)
  const pid = pidOf(platform, 'gateway')
  process.kill(pid, 'SIGKILL')

  await producer.until(({ lines }) => lines.length > 0)
  const { accepted, unknown } = JSON.parse(producer.lines[0]!) as { accepted: number; unknown: number }
  t.diagnostic(`${accepted} accepted, ${unknown} unknown`)
  assert.equal(accepted + unknown, records)
  assert.equal(producer.stderr.match(/waiting for the gateway, up to 60 s: /g)?.length, 1)
  assert.match(producer.stderr, /the gateway is back: continuing/)
  const [code] = (await producer.closed) as [number]
  assert.equal(code, unknown === 0 ? 0 : 1)

  for (const reader of readers) await reader.until(({ stderr }) => /following passed again/.test(stderr))
  const last = ['x', 'y', 'z']
  await platform.json(['produce', 'lines', '--key', 'k'], last.join('\n'))
  for (const reader of readers) await reader.until(({ lines }) => textOf(lines.at(-1)!) === 'z')
  const { recordsIn, recordsOut } = await platform.until(
    'pass',
    (d) => d.recordsOut >= accepted + last.length,
  )
  assert.ok(recordsIn <= records + last.length, `${recordsIn} came of ${records}: ${accepted} accepted`)
  for (const { lines, stderr } of readers) {
    const values = lines.map(textOf)
    assert.equal(new Set(values).size, values.length, 'one came twice')
    const numbers = values.slice(0, -last.length).map(Number)
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    )
    const missed = [...stderr.matchAll(/missed (\d+) records/g)].reduce((sum, [, n]) => sum + Number(n), 0)
    t.diagnostic(`read ${lines.length}, missed ${missed}`)
    assert.equal(lines.length + missed, recordsOut)
    // A gateway that takes longer than the stream waits for its reader is told of; then that has missed something.
    if (/following passed again\n/.test(stderr)) assert.equal(missed, 0)
  }
})

test('a reader that holds goes on by another gateway when its own is killed, and misses nothing', {
  timeout: 300_000,
}, async (t) => {
  const platform = await Platform.start(t)
  await platform.deploy('pass', source)
  const beside = await Beside.start(t, platform)
  const { token } = JSON.parse(readFileSync(join(platform.home, 'client.json'), 'utf8')) as { token: string }
  const env = { CONCORD_URL: `${beside.url},${platform.url}`, CONCORD_TOKEN: token }
  const reader = new Said(t, platform, ['consume', 'passed', '--json', '--hold'], env)
  await reader.until(({ stderr }) => /following passed/.test(stderr))
  const producer = new Said(t, platform, ['produce', 'lines', '--key', 'k', '--rate', '1000', '--json'])
  producer.child.stdin!.end(Array.from({ length: records }, (_, i) => `${i}\n`).join(''))
  await reader.until(({ lines }) => lines.length > records / 8)
  await beside.end()
  await reader.until(({ lines }) => lines.length === records)
  assert.deepEqual(
    reader.lines.map(textOf).map(Number),
    Array.from({ length: records }, (_, i) => i),
  )
  assert.match(
    reader.stderr,
    /waiting for the gateway.*\nthe gateway is back: continuing\nfollowing passed again\n$/,
  )
  const { ledger } = await platform.until('pass', (d) => d.recordsOut === records)
  assert.equal(ledger[0]!.unaccounted, 0)
})

function textOf(line: string): string {
  return (JSON.parse(line) as { value: string }).value
}

/** A command under way, and what it has said so far. */
class Said {
  readonly child: ChildProcess
  readonly closed: Promise<unknown[]>
  readonly lines: string[] = []
  stderr = ''
  #wake: () => void = () => undefined

  constructor(t: TestContext, { env }: Platform, args: readonly string[], more: Record<string, string> = {}) {
    this.child = startCli(args, { ...env, ...more })
    this.closed = once(this.child, 'close')
    t.after(() => this.child.kill('SIGKILL'))
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.lines.push(line)
      this.#wake()
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
  }

  async until(wanted: (said: Said) => boolean): Promise<void> {
    while (!wanted(this)) {
      assert.equal(this.child.exitCode, null, `it has ended: ${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
