import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bottlenecks, type PipelineReader } from './bottleneck.ts'

/** A function of a simulated pipeline: all of them write a stream of their own name. */
interface Fn {
  readonly name: string
  readonly reads: readonly string[]
  /** Records that it could do in a turn; 0: it does not run. */
  readonly capacity: number
  readonly queues: boolean
  /** It does not wait for room of its outputs; but until they are accepted, its inputs are not acknowledged and take room there. */
  readonly keeps: boolean
}

/** Records that came in the same turn. */
interface Batch {
  readonly at: number
  left: number
}

const source = 's'
/** What waits at a reader before its senders wait, and what a sender holds back for all of its readers before it stops. */
const [room, hold] = [80, 20]
/** In turns of the simulation. */
const [run, observed] = [700, 150]
const turnMs = 4_000

/**
 * Runs a pipeline until it has settled, as channels do (docs/design/0002-channels.md): a stream waits for its fullest reader, and
 * what it holds back is in flight to all of them. The source has more than anybody takes.
 */
function play(functions: readonly Fn[]): PipelineReader[] {
  const edges = functions.flatMap((fn) => fn.reads.map((stream) => ({ stream, fn, here: [] as Batch[] })))
  const held = new Map<string, Batch[]>([source, ...functions.map(({ name }) => name)].map((s) => [s, []]))
  const time = new Map(functions.map(({ name }) => [name, { busy: 0, blocked: 0 }]))
  const sum = (batches: readonly Batch[]) => batches.reduce((all, { left }) => all + left, 0)
  const take = (batches: Batch[], records: number): number => {
    let wanted = records
    while (wanted > 1e-9 && batches.length > 0) {
      const taken = Math.min(wanted, batches[0]!.left)
      batches[0]!.left -= taken
      wanted -= taken
      if (batches[0]!.left <= 1e-9) batches.shift()
    }
    return records - wanted
  }
  const kept = ({ keeps, name }: Fn) => (keeps ? sum(held.get(name)!) : 0)
  const pass = (stream: string): void => {
    const waiting = held.get(stream)!
    const mine = edges.filter((edge) => edge.stream === stream)
    const main = mine.filter(({ fn }) => !fn.queues)
    for (const batch of [...waiting]) {
      const free = Math.min(batch.left, ...main.map((edge) => room - sum(edge.here) - kept(edge.fn)))
      if (free <= 0) return
      take(waiting, free)
      for (const { here } of main) here.push({ at: batch.at, left: free })
    }
  }
  const send = (stream: string, records: number, at: number): void => {
    if (records <= 0) return
    held.get(stream)!.push({ at, left: records })
    for (const { fn, here } of edges)
      if (fn.queues && fn.reads.includes(stream)) here.push({ at, left: records })
    pass(stream)
  }
  for (let at = 0; at < run; at++) {
    pass(source)
    send(source, hold - sum(held.get(source)!), at)
    for (const { name, capacity, keeps } of functions) {
      pass(name)
      const inputs = edges.filter(({ fn }) => fn.name === name)
      const free = keeps ? Number.POSITIVE_INFINITY : hold - sum(held.get(name)!)
      const there = inputs.reduce((all, { here }) => all + sum(here), 0)
      const done = Math.max(0, Math.min(capacity, there, free))
      let left = done
      for (const [i, { here }] of inputs.entries()) left -= take(here, left / (inputs.length - i))
      for (const { here } of inputs) left -= take(here, left)
      send(name, done, at)
      if (at < run - observed || capacity === 0) continue
      const spent = time.get(name)!
      spent.busy += done / capacity / observed
      if (free < Math.min(capacity, there)) spent.blocked += (1 - done / capacity) / observed
    }
  }
  return functions.map(({ name, capacity, queues, keeps, reads }) => ({
    ...{ name, isAbsent: capacity === 0, time: capacity === 0 ? undefined : time.get(name)! },
    inputs: reads.map((stream) => {
      const { here } = edges.find((edge) => edge.stream === stream && edge.fn.name === name)!
      const all = [...here, ...(queues ? [] : held.get(stream)!), ...(keeps ? held.get(name)! : [])]
      const oldest = Math.min(...all.map(({ at }) => at))
      return {
        stream,
        records: Math.ceil(sum(all)),
        lagMs: all.length === 0 ? 0 : (run - oldest) * turnMs,
        queues,
      }
    }),
    outputs: [name],
  }))
}

/** Who bounds the throughput: of those for whom anybody waits, the one that can do least of what comes to it for each record at the source. */
function slowestOf(functions: readonly Fn[]): { readonly name: string; readonly isClear: boolean } {
  const flow = new Map([[source, 1]])
  const possible = functions.flatMap(({ name, reads, capacity, queues }) => {
    const mine = reads.reduce((sum, stream) => sum + flow.get(stream)!, 0)
    flow.set(name, mine)
    return queues ? [] : [{ name, share: capacity / mine }]
  })
  const [first, second] = possible.sort((a, b) => a.share - b.share)
  return { name: first!.name, isClear: second === undefined || second.share > 1.25 * first!.share }
}

/** Whether a way leads down from one to the other. */
function leadsTo(from: string, to: string, functions: readonly Fn[]): boolean {
  if (from === to) return true
  return functions.some(({ name, reads }) => reads.includes(from) && leadsTo(name, to, functions))
}

const pipelines = fc
  .array(
    fc.record({
      first: fc.nat(),
      second: fc.option(fc.nat()),
      capacity: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 2, max: 20 }) }, fc.constant(0)),
      queues: fc.nat(9).map((n) => n === 0),
      keeps: fc.boolean(),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((drawn) => {
    const names = drawn.map((_, i) => `f${i}`)
    const reads = drawn.map(({ first, second }, i) => {
      const before = [source, ...names.slice(0, i)]
      const both = [first, second ?? first].map((n) => before[n % before.length]!)
      return [...new Set(both)]
    })
    const isRead = (name: string) => reads.some((some) => some.includes(name))
    return drawn.map(
      ({ capacity, queues, keeps }, i): Fn => ({
        ...{ name: names[i]!, reads: reads[i]!, capacity, keeps },
        queues: queues && !isRead(names[i]!), // only at an end, or it would begin a pipeline of its own
      }),
    )
  })
  .filter((functions) => functions.some(({ queues }) => !queues) && slowestOf(functions).isClear)

test('bottlenecks names who bounds the throughput of a pipeline, for all streams above it, and nobody below', () => {
  const seen = { late: 0, far: 0, absent: 0, beside: 0 }
  fc.assert(
    fc.property(pipelines, (functions) => {
      const slowest = functions.find(({ name }) => name === slowestOf(functions).name)!
      const readers = play(functions)
      for (const stream of [source, ...functions.map(({ name }) => name)]) {
        const found = bottlenecks([stream], readers)
        const isAbove = slowest.reads.some((input) => leadsTo(stream, input, functions))
        if (!isAbove) {
          assert.deepEqual(found, [], `${stream}: it is below, or beside`)
          seen.beside += 1
          continue
        }
        for (const { reader, cause, via, waiting } of found) {
          assert.deepEqual(
            [reader, cause],
            [slowest.name, slowest.capacity === 0 ? 'absent' : 'slow'],
            stream,
          )
          const way = [...via, reader].map((name) => functions.find((one) => one.name === name)!)
          assert.ok(way[0]!.reads.includes(stream))
          for (const [i, fn] of way.slice(1).entries()) assert.ok(fn.reads.includes(way[i]!.name))
          assert.ok(slowest.reads.includes(waiting.stream))
        }
        const isLate = readers.some(({ isAbsent, inputs }) =>
          inputs.some(
            ({ stream: input, records, lagMs, queues }) =>
              input === stream && !queues && records > 0 && (isAbsent || lagMs! >= 10_000),
          ),
        )
        assert.equal(found.length > 0, isLate, `${stream}: somebody is late, so somebody is named`)
        if (isLate) seen.late += 1
        if (found.some(({ via }) => via.length > 0)) seen.far += 1
        if (found.some(({ cause }) => cause === 'absent')) seen.absent += 1
      }
    }),
    { numRuns: 300 },
  )
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 30, `${what}: ${times}`)
})

/** A reader of a pipeline in which all is late; how often it is asked for its time is noted. */
function late(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  time: { readonly busy: number; readonly blocked: number },
  asked: Map<string, number>,
): PipelineReader {
  return {
    ...{ name, outputs, isAbsent: false },
    inputs: inputs.map((stream) => ({ stream, records: 10, lagMs: 60_000, queues: false })),
    get time() {
      asked.set(name, (asked.get(name) ?? 0) + 1)
      return time
    },
  }
}

const [works, waitsForRoom, waitsForInput] = [
  { busy: 1, blocked: 0 },
  { busy: 0.4, blocked: 0.6 },
  { busy: 0.4, blocked: 0 },
]

test('bottlenecks looks behind each reader once, with two streams at each of 200 hops', () => {
  const asked = new Map<string, number>()
  const names = Array.from({ length: 200 }, (_, i) => `f${i}`)
  const readers = names.map((name, i) =>
    late(name, [`a${i}`, `b${i}`], [`a${i + 1}`, `b${i + 1}`], i === 199 ? works : waitsForRoom, asked),
  )
  const found = bottlenecks(['a0', 'b0'], readers)
  assert.deepEqual(
    found.map(({ stream, reader, cause, waiting }) => [stream, reader, cause, waiting.stream]),
    ['a199', 'b199'].map((input) => ['a0', 'f199', 'slow', input]),
  )
  for (const { via } of found) assert.deepEqual(via, names.slice(0, -1))
  assert.deepEqual(asked, new Map(names.map((name) => [name, 1]))) // BK5
})

test('bottlenecks looks behind each reader once, in 20 layers of five that each read all five before', () => {
  const asked = new Map<string, number>()
  const width = [0, 1, 2, 3, 4]
  const layers = Array.from({ length: 20 }, (_, layer) => width.map((i) => `f${layer}-${i}`))
  const readers = layers.flatMap((names, layer) =>
    names.map((name) => {
      const spent = name === 'f12-3' ? works : layer < 12 ? waitsForRoom : waitsForInput
      return late(name, layers[layer - 1] ?? [source], [name], spent, asked)
    }),
  )
  const found = bottlenecks([source], readers)
  assert.deepEqual(
    found.map(({ reader, cause, waiting }) => [reader, cause, waiting.stream]),
    layers[11]!.map((input) => ['f12-3', 'slow', input]),
  )
  for (const { via, waiting } of found) {
    assert.deepEqual([via.length, via.at(-1)], [12, waiting.stream])
    for (const [layer, name] of via.entries()) assert.ok(layers[layer]!.includes(name))
  }
  assert.deepEqual([asked.size, Math.max(...asked.values())], [100, 1]) // BK5
})

test('bottlenecks finds who is at the end of a row of 2,000', () => {
  const readers = Array.from({ length: 2_000 }, (_, i) =>
    late(`f${i}`, [`a${i}`], [`a${i + 1}`], i === 1_999 ? works : waitsForRoom, new Map()),
  )
  const found = bottlenecks(['a0'], readers)
  assert.deepEqual(
    found.map(({ reader, cause, via }) => [reader, cause, via.length]),
    [['f1999', 'slow', 1_999]],
  )
})

test('bottlenecks ends in a cycle, and names who works in it', () => {
  const asked = new Map<string, number>()
  const readers = [
    late('in', ['s', 'back'], ['a', 'b'], waitsForRoom, asked),
    late('out', ['a', 'b'], ['back'], works, asked),
  ]
  for (const stream of ['s', 'a', 'back']) {
    const found = bottlenecks([stream], readers)
    assert.ok(found.length > 0, stream)
    for (const { reader, cause } of found) assert.deepEqual([reader, cause], ['out', 'slow'], stream)
  }
})
