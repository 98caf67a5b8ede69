/**
 * Prints every setting with its value and that value's origin: what `concord config` runs.
 *
 *     node infra/config/print.ts [--json] [--file FILE]
 * @module
 */
import { parseArgs } from 'node:util'
import { CodedError } from '../../sdk/errors.ts'
import { describeOrigin, loadConfig } from './load.ts'
import { settings } from './schema.ts'

export interface SettingReport {
  readonly key: string
  /** A secret that is set shows as `***`; what is unset has no value. */
  readonly value?: unknown
  readonly origin: string
  readonly environment: string
  readonly description: string
}

/** Every setting, ready to be shown. */
export function reportSettings(loaded: ReturnType<typeof loadConfig>): readonly SettingReport[] {
  return settings.map(({ key, env, description, secret }) => {
    const value = key
      .split('.')
      .reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], loaded.values)
    const shown = value === undefined ? {} : { value: secret ? '***' : withoutLogin(value) }
    return { key, ...shown, origin: describeOrigin(loaded.origins[key]!), environment: env, description }
  })
}

/** A URL may hold a password too. */
function withoutLogin(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/(?<=:\/\/)[^/@]*@/, '***@') : value
}

/** As a table of columns, for people. */
export function formatSettings(reports: readonly SettingReport[]): string {
  const rows = [
    ['SETTING', 'VALUE', 'ORIGIN', 'MEANING'],
    ...reports.map(({ key, value, origin, description }) => [
      key,
      value === undefined ? '–' : String(value),
      origin,
      description,
    ]),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}\n`)
    .join('')
}

function main(): void {
  const { values: options } = parseArgs({ options: { json: { type: 'boolean' }, file: { type: 'string' } } })
  try {
    const reports = reportSettings(loadConfig(options.file === undefined ? {} : { file: options.file }))
    process.stdout.write(options.json ? `${JSON.stringify(reports)}\n` : formatSettings(reports))
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 6 // configuration rejected, in the words of the command line
  }
}

if (import.meta.main) main()
