import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Benchmark, runBenchmark, type Sample, subject } from './benchmark.ts'
import { helpText, parseOptions, UsageError } from './options.ts'
import { figureReports, tableText } from './report.ts'

/** A benchmark that answers from a list and notes what it was asked. */
function listed(samples: Readonly<Record<string, readonly Sample[]>>) {
  const asked: string[] = []
  const benchmark: Benchmark = {
    name: 'listed',
    measures: 'what it is told.',
    measuresNot: 'anything.',
    figures: {
      rate: { title: 'rate', unit: 'records/s' },
      cpu: { title: 'CPU', unit: 'µs', compared: false },
    },
    subject: 'Concord',
    references: { a: 'bare loop', b: 'raw' },
    open: async () => ({
      measure: async (side, run) => {
        asked.push(`${run} ${side}`)
        const sample = samples[side]?.[run]
        if (sample === undefined) throw new Error(`no sample of ${side}`)
        return sample
      },
      close: async () => void asked.push('closed'),
    }),
  }
  return { benchmark, asked }
}

const rates = (...values: readonly number[]): Sample[] => values.map((rate) => ({ values: { rate } }))
const settings = { runs: 3, records: 0, references: ['a', 'b'] }

test('runBenchmark measures all sides in each run, beginning with another each time, and closes', async () => {
  const { benchmark, asked } = listed({ [subject]: rates(1, 1, 1), a: rates(1, 1, 1), b: rates(1, 1, 1) })
  await runBenchmark(benchmark, settings)
  assert.deepEqual(asked, [
    ...['0 concord', '0 a', '0 b'],
    ...['1 a', '1 b', '1 concord'],
    ...['2 b', '2 concord', '2 a'],
    'closed',
  ])
})

test('runBenchmark closes what it opened when a measurement fails', async () => {
  const { benchmark, asked } = listed({ [subject]: rates(1) })
  await assert.rejects(runBenchmark(benchmark, settings), /no sample of a/)
  assert.equal(asked.at(-1), 'closed')
})

test('figureReports answers an object a figure, the headline last, exactly of the promised shape', async () => {
  const checked = (rate: number, cpu: number, lost: number): Sample => ({
    values: { rate, cpu },
    checks: { lost, repeated: 1, reordered: 0 },
  })
  const { benchmark } = listed({
    [subject]: [checked(100, 2, 0), checked(110, 3, 2), checked(90, 4, 0)],
    a: rates(200, 400, 300),
    b: rates(50, 50, 50),
  })
  const reports = figureReports(await runBenchmark(benchmark, settings), 'a machine')
  const checks = { lost: 2, repeated: 3, reordered: 0 }
  assert.deepEqual(reports, [
    {
      ...{ name: 'listed.cpu', machine: 'a machine', runs: 3, median: 3, unit: 'µs', spread: 1 / 3 },
      ...{ reference: {}, checks },
    },
    {
      ...{ name: 'listed', machine: 'a machine', runs: 3, median: 100, unit: 'records/s', spread: 0.1 },
      reference: { a: { median: 300, ratio: 0.3 }, b: { median: 50, ratio: 2 } }, // 100/200, 110/400, 90/300
      checks,
    },
  ])
})

test('figureReports and tableText take the ratio that was measured by turns', async () => {
  const a = [80, 40, 90].map((rate) => ({ values: { rate }, ratios: { rate: 100 / rate } }))
  const { benchmark } = listed({ [subject]: rates(50, 50, 50), a, b: rates(25, 25, 25) })
  const result = await runBenchmark(benchmark, settings)
  const { reference } = figureReports(result, 'a machine').at(-1)!
  assert.deepEqual(reference, { a: { median: 80, ratio: 1.25 }, b: { median: 25, ratio: 2 } })
  assert.match(tableText(result, 'a machine'), /^\(a\) bare loop +80\.0 +± 31 % +1\.25 × /m)
})

test('tableText shows medians, spreads and ratios, and names a reference that lost records', async () => {
  const lossy = rates(50, 50, 50).map((sample) => ({
    ...sample,
    checks: { lost: 4, repeated: 0, reordered: 0 },
  }))
  const { benchmark } = listed({ [subject]: rates(1000, 1100, 900), a: rates(2000, 2000, 2000), b: lossy })
  const text = tableText(await runBenchmark(benchmark, settings), 'a machine')
  assert.match(text, /^Concord +1,000 +± 10 %$/m)
  assert.match(text, /^\(a\) bare loop +2,000 +± 0 % +0\.500 × +± 10 %$/m)
  assert.match(text, /lost 0, repeated 0, reordered 0/)
  assert.match(text, /Reference \(b\) lost 12, .* mean nothing/)
})

test('parseOptions knows names, all of them at once, and takes five runs', () => {
  const { benchmark } = listed({})
  const other = { ...benchmark, name: 'other' }
  assert.deepEqual(parseOptions(['listed', '--json'], [benchmark, other]), {
    ...{ benchmarks: [benchmark], runs: 5, json: true },
  })
  assert.deepEqual(parseOptions(['all', '--runs', '7'], [benchmark, other]).benchmarks, [benchmark, other])
  assert.deepEqual(parseOptions([], [benchmark]).benchmarks, [])
  assert.deepEqual(parseOptions(['listed', '--references', 'b'], [benchmark]).references, ['b'])
  assert.deepEqual(parseOptions(['listed', '--references', 'none'], [benchmark]).references, [])
})

test('parseOptions refuses kindly', () => {
  const { benchmark } = listed({})
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [['lsited'], /no benchmark 'lsited': did you mean 'listed'\? \(there are listed, all\)/],
    [['zzzzzzzzzz'], /no benchmark 'zzzzzzzzzz' \(there are listed, all\)/],
    [['listed', '--runs', '0'], /--runs 0: expected a whole number from 1/],
    [['listed', '--records', 'many'], /--records many/],
    [['listed', '--references', 'x'], /no reference 'x'.* \(there are a, b\).*--references none/],
    [['listed', '--rnus', '3'], /--rnus/],
  ]
  for (const [words, message] of refusals) {
    assert.throws(
      () => parseOptions(words, [benchmark]),
      (error) => error instanceof UsageError && message.test(error.message),
      words.join(' '),
    )
  }
})

test('helpText names every benchmark and says that without a name they are listed', () => {
  const { benchmark } = listed({})
  assert.match(helpText([benchmark]), /^ {2}listed {2}what it is told\.$/m)
})
