/**
 * Model: a topology as a graph of functions and streams, with rates computed from two readings.
 * @module
 */
import type { FunctionSummary, Topology } from '../../api/index.ts'

export interface GraphNode {
  /** `f:NAME` or `s:NAME`: a function and a stream may have the same name. */
  readonly id: string
  readonly kind: 'function' | 'stream'
  readonly name: string
  /** The text beside the name: version and instances, or partitions. */
  readonly note: string
  /** Records a second in and out; empty if no rate is known. */
  readonly rate: string
  readonly healthy: boolean
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
}

export interface Graph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** Records a second of a function. */
export interface Rate {
  readonly in: number
  readonly out: number
}

/** The rates between two readings. A function that is new, or counts less than before, has none. */
export function ratesBetween(before: Topology, after: Topology, seconds: number): Map<string, Rate> {
  const earlier = new Map(before.functions.map((fn) => [fn.name, fn]))
  const rates = new Map<string, Rate>()
  for (const fn of after.functions) {
    const was = earlier.get(fn.name)
    const inRate = (fn.recordsIn - (was?.recordsIn ?? Number.NaN)) / seconds
    const outRate = (fn.recordsOut - (was?.recordsOut ?? Number.NaN)) / seconds
    if (inRate >= 0 && outRate >= 0) rates.set(fn.name, { in: inRate, out: outRate })
  }
  return rates
}

export function graphOf(
  topology: Topology,
  rates: ReadonlyMap<string, Rate>,
  numberText: (value: number) => string,
): Graph {
  const functions = topology.functions.map((fn) => functionNode(fn, rates.get(fn.name), numberText))
  const used = new Set(topology.functions.flatMap(({ istreams, ostreams }) => [...istreams, ...ostreams]))
  const partitions = new Map(topology.streams.map((stream) => [stream.name, stream.partitions]))
  const streams = [...new Set([...partitions.keys(), ...used])].map((name): GraphNode => {
    const count = partitions.get(name)
    const note = count === undefined ? '' : `×${count}`
    return { id: `s:${name}`, kind: 'stream', name, note, rate: '', healthy: true }
  })
  const edges = topology.functions.flatMap(({ name, istreams, ostreams }) => [
    ...istreams.map((stream) => ({ from: `s:${stream}`, to: `f:${name}` })),
    ...ostreams.map((stream) => ({ from: `f:${name}`, to: `s:${stream}` })),
  ])
  return { nodes: [...functions, ...streams], edges }
}

function functionNode(
  fn: FunctionSummary,
  rate: Rate | undefined,
  numberText: (value: number) => string,
): GraphNode {
  const state = fn.state === 'running' ? '' : ` ${fn.state}`
  const note = `v${fn.live ?? fn.version} ${fn.instancesRunning}/${fn.instancesWanted}${state}`
  const rateText = rate === undefined ? '' : `${numberText(rate.in)}/s in, ${numberText(rate.out)}/s out`
  return {
    id: `f:${fn.name}`,
    kind: 'function',
    name: fn.name,
    note,
    rate: rateText,
    healthy: ['running', 'canary', 'shadow', 'rolling'].includes(fn.state),
  }
}
