/**
 * Console: passes lines to the seam, by level. Methods that only make sense on a screen (groups, tables) exist and do
 * little, so that libraries that call them work.
 * @module
 */

import type { Seam } from '../callback/seam.ts'
import { type LogLevel, logLevels } from '../shared/layout.ts'
import { format } from './format.ts'

type Print = (...args: unknown[]) => void

export function makeConsole(
  seam: Pick<Seam, 'print' | 'nowMs'>,
  least: LogLevel,
): Readonly<Record<string, Print>> {
  let indent = ''
  const counts = new Map<string, number>()
  const timesMs = new Map<string, number>()
  const printer =
    (level: LogLevel): Print =>
    (...args) => {
      if (logLevels.indexOf(level) >= logLevels.indexOf(least)) seam.print(level, indent + format(args))
    }
  const [debug, info, warn, error] = [printer('debug'), printer('info'), printer('warn'), printer('error')]
  const elapsed = (label: string) => `${label}: ${seam.nowMs - (timesMs.get(label) ?? seam.nowMs)} ms`
  const group: Print = (...args) => {
    if (args.length > 0) info(...args)
    if (indent.length < 32) indent += '  '
  }
  return {
    debug,
    log: info,
    info,
    warn,
    error,
    dir: (value) => info(value),
    table: (value) => info(value),
    trace: (...args) => debug(`Trace: ${format(args)}\n${new Error().stack ?? ''}`),
    assert: (condition, ...args) => {
      if (!condition) error(`Assertion failed${args.length > 0 ? ':' : ''}`, ...args)
    },
    count: (label = 'default') => {
      const count = (counts.get(String(label)) ?? 0) + 1
      counts.set(String(label), count)
      info(`${String(label)}: ${count}`)
    },
    countReset: (label = 'default') => void counts.delete(String(label)),
    time: (label = 'default') => void timesMs.set(String(label), seam.nowMs),
    timeLog: (label = 'default') => info(elapsed(String(label))),
    timeEnd: (label = 'default') => {
      info(elapsed(String(label)))
      timesMs.delete(String(label))
    },
    group,
    groupCollapsed: group,
    groupEnd: () => {
      indent = indent.slice(2)
    },
  }
}
