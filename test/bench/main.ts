/**
 * `npm run bench [-- NAME] [--runs N] [--records N] [--json]`: see docs/benchmarks.md.
 * @module
 */
import { parseArgs } from 'node:util'
import { printJson, printTable } from './report.ts'
import { throughput } from './throughput.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    records: { type: 'string', default: '4000000' },
    json: { type: 'boolean', default: false },
  },
})
const names = { throughput }
const name = (positionals[0] ?? 'throughput') as keyof typeof names
if (!(name in names)) {
  console.error(`There is no benchmark '${name}': choose one of ${Object.keys(names).join(', ')}`)
  process.exit(2)
}
const runs = Number(values.runs)
const records = Number(values.records)
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(records) || records < 1000) {
  console.error('--runs must be a whole number from 1, --records from 1000')
  process.exit(2)
}
const result = await names[name]({ runs, records })
printTable(result)
if (values.json) printJson(result)
