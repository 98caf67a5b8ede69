/**
 * Report: a day of the scaling demo as lines for a terminal, as an SVG, and as figures.
 * @module
 */
import { chartSvg, chartText, type Row } from '../../../sdk/scaling/index.ts'
import type { Day, Look } from './day.ts'

const columns = 72

export function rowsOf(looks: readonly Look[]): Row[] {
  return [
    { name: 'orders/s', values: looks.map(({ perSecond }) => perSecond) },
    { name: 'instances', values: looks.map(({ instances }) => instances) },
    { name: 'waiting', values: looks.map(({ waiting }) => waiting), unit: ' records' },
    { name: 'latency', values: looks.map(({ latencyMs }) => latencyMs), unit: ' ms' },
  ]
}

export function dayText(day: Day): string {
  const { sent, received, wrong } = figuresOf(day)
  const account =
    received === sent && wrong === 0
      ? `${sent} orders, a receipt for each, in order, with the right count from state.`
      : `${sent} orders, ${received} receipts, ${wrong} of them wrong.`
  return `${chartText(rowsOf(day.looks), columns)}\n\n${account}`
}

export function daySvg({ looks }: Day, seconds: number): string {
  return chartSvg(rowsOf(looks), 'A day in a minute: every function scales by its own policy', seconds)
}

export function figuresOf({ looks, sent, received, wrong }: Day) {
  const most = (of: (look: Look) => number) => looks.reduce((max, look) => Math.max(max, of(look)), 0)
  const latencies = looks.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)
  return {
    ...{ sent, received, lost: Math.max(0, sent - received), wrong },
    instancesMax: most(({ instances }) => instances),
    instancesAtEnd: looks.at(-1)?.instances ?? 0,
    waitingMax: most(({ waiting }) => waiting),
    /** The longest latency of each half second. */
    latencyMedianMs: Math.round(latencies[Math.floor(latencies.length / 2)] ?? 0),
    latencyMaxMs: Math.round(most(({ latencyMs }) => latencyMs)),
  }
}
