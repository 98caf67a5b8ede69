import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { randomSource } from '../bench/load/workload.ts'
import type { Verdict } from './checker.ts'
import type { HistoryEvent } from './event.ts'
import { HistoryWriter } from './file.ts'
import { soundHistory } from './sound.ts'

const main = join(import.meta.dirname, 'main.ts')
/** So small that it holds no million of anything. */
const smallHeapMib = 48

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'concord-history-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function judge(args: readonly string[], heapMib = smallHeapMib) {
  const meter = `process.on('exit', () => { const { user, system } = process.cpuUsage(); console.error('cpu ' + (user + system) / 1e6) })`
  const answer = spawnSync(
    process.execPath,
    [
      `--max-old-space-size=${heapMib}`,
      '--import',
      `data:text/javascript,${encodeURIComponent(meter)}`,
      main,
      ...args,
    ],
    { encoding: 'utf8' },
  )
  const [, cpu] = answer.stderr.match(/cpu ([\d.]+)/) ?? []
  return { ...answer, stderr: answer.stderr.replace(/cpu .*\n/, ''), cpuSeconds: Number(cpu) }
}

const where = { stream: 's', consumer: 'f' } as const

/** A million records in 64 channels, each record with a line in each of three layers. */
function writeMillion(path: string, spoil: (number: number, event: HistoryEvent) => HistoryEvent[]): void {
  const history = new HistoryWriter(path, 'output')
  const partitions = Array.from({ length: 16 }, (_, p) => p)
  history.add({ event: 'claim', consumer: 'f', owner: 'a', epoch: 1, partitions: { s: partitions } })
  for (let i = 0; i < 1_000_000; i++) {
    const channel = { stream: 's', partition: i % 16, producer: `p${(i >> 4) % 4}` }
    const record = { ...channel, from: i >> 6, count: 1 }
    history.add({ event: 'sent', ...record })
    for (const event of spoil(i, { event: 'output', ...record, consumer: 'f', owner: 'a', epoch: 1 }))
      history.add(event)
  }
  for (let c = 0; c < 64; c++) {
    const channel = { stream: 's', partition: c % 16, producer: `p${c >> 4}` }
    history.add({ event: 'acknowledged', ...channel, consumer: 'f', through: 1_000_000 / 64 })
  }
  history.add({ event: 'end' })
  history.close()
}

test('main finds five faults among a million records in 10 s of CPU and a small heap', {
  timeout: 120_000,
}, (t) => {
  const path = join(tempDir(t), 'million.jsonl')
  let held: HistoryEvent | undefined
  writeMillion(path, (i, event) => {
    if (i === 100_000) return [] // lost
    if (i === 200_000) return [event, { ...event } as HistoryEvent] // repeated
    if (i === 300_000) {
      held = event
      return []
    }
    if (i === 300_064) return [event, held!] // reordered
    if (i === 400_000) return [{ ...event, from: 5_000_000 } as HistoryEvent, event] // a ghost
    if (i === 500_000) return [{ ...event, owner: 'b' } as HistoryEvent] // another's
    return [event]
  })
  const { status, stdout, stderr, cpuSeconds } = judge([path, '--json'])
  assert.equal(status, 1, stderr)
  const { findings, counts, events } = JSON.parse(stdout) as Verdict
  assert.equal(counts['sent'], 1_000_000)
  assert.ok(events > 2_000_000)
  t.diagnostic(`${events} events in ${cpuSeconds} s of CPU`)
  assert.ok(cpuSeconds <= 10, `${cpuSeconds} s`)
  const at = (i: number): string => `s/${i % 16} p${(i >> 4) % 4} #${i >> 6}`
  const found = findings.map((f) => `${f.kind} ${f.stream}/${f.partition} ${f.producer} #${f.from}`)
  assert.ok(found.includes(`loss ${at(100_000)}`), found.join('\n'))
  assert.ok(found.includes(`repeat ${at(200_000)}`))
  assert.ok(found.includes(`reorder ${at(300_000)}`))
  assert.ok(found.includes(`ghost ${at(400_000).replace(/#.*/, '#5000000')}`))
  assert.ok(found.includes(`wrong-owner ${at(500_000)}`))
})

test('main judges a history with a crash or handover for each seven records in 10 s of CPU', {
  timeout: 120_000,
}, (t) => {
  const path = join(tempDir(t), 'handovers.jsonl')
  const history = new HistoryWriter(path, 'output')
  const next = randomSource(1)
  for (const event of soundHistory((n) => Math.floor(next() * n), 800_000)) history.add(event)
  history.close()
  const { stdout, stderr, cpuSeconds } = judge([path], 1024)
  assert.match(stdout, /^sound: /, stderr)
  t.diagnostic(`${stdout.trim()}, in ${cpuSeconds} s of CPU`)
  assert.ok(cpuSeconds <= 10, `${cpuSeconds} s`)
})

test('main says in words what is wrong, with the events concerned', (t) => {
  const path = join(tempDir(t), 'small.jsonl')
  const history = new HistoryWriter(path, 'output')
  const effect = {
    ...where,
    event: 'output',
    partition: 3,
    producer: 'p',
    owner: 'a',
    epoch: 1,
    count: 1,
  } as const
  history.add({ event: 'sent', stream: 's', partition: 3, producer: 'p', from: 0, count: 4 })
  for (const from of [0, 1, 1, 2]) history.add({ ...effect, from })
  history.add({ event: 'end' })
  history.close()
  const { status, stdout } = judge([path])
  assert.equal(status, 1)
  assert.match(stdout, /^NOT sound, records by fault: repeat 1, stuck 1$/m)
  assert.match(stdout, /^repeat s\/3 p #1 at f: seen again, by a$/m)
  assert.match(stdout, /^stuck s\/3 p #3 at f: /m)
  assert.match(stdout, /^ {4}1: .*"sent"/m)
})

test('main says sound, and refuses what is no history with the line at fault', (t) => {
  const dir = tempDir(t)
  const write = (text: string): string => {
    const path = join(dir, 'h.jsonl')
    writeFileSync(path, text)
    return path
  }
  const header = '{"history":2,"complete":"output"}\n'
  const sound = judge([write(`${header}{"event":"note","text":"nothing happened"}\n{"event":"end"}\n`)])
  assert.deepEqual([sound.status, sound.stdout], [0, 'sound: 0 records sent, nothing more; 2 events\n'])
  const refused: [string, RegExp][] = [
    ['', /line 1 .*expected a line of JSON/],
    ['{"history":1,"complete":"output"}\n', /line 1 .*expected a header \{"history":2/],
    ['{"history":2}\n', /line 1 .*expected "complete" to be/],
    [`${header}{"event":"end"}\nnonsense\n`, /line 3 .*expected a line of JSON, found nonsense/],
    [`${header}{"event":"lost"}\n`, /line 2 .*expected an event, one of sent, accepted/],
    [
      `${header}{"event":"sent","stream":"s"}\n`,
      /line 2 .*'sent' needs a count 'partition', found undefined/,
    ],
    [`${header}null\n`, /line 2 .*expected an event/],
  ]
  for (const [text, why] of refused) {
    const { status, stderr } = judge([write(text)])
    assert.equal(status, 2)
    assert.match(stderr, why)
    assert.doesNotMatch(stderr, /\n {4}at /)
  }
  assert.match(judge([join(dir, 'none.jsonl')]).stderr, /no such file/)
  assert.match(judge([]).stderr, /^usage: /)
})
