import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FunctionSummary, Topology } from '../../api/index.ts'
import { graphDot, graphMermaid, graphSvg } from './formats.ts'
import { layOut } from './layout.ts'
import { type Graph, graphOf, ratesBetween } from './model.ts'
import { graphText } from './text.ts'

function fn(
  name: string,
  istreams: string[],
  ostreams: string[],
  more: Partial<FunctionSummary> = {},
): FunctionSummary {
  const counts = { instancesWanted: 1, instancesRunning: 1, recordsIn: 0, recordsOut: 0, errors: 0 }
  return { name, version: 1, state: 'running', istreams, ostreams, ...counts, ...more }
}

const topologyOf = (...functions: FunctionSummary[]): Topology => ({ functions, streams: [] })
const graph = (topology: Topology, rates = new Map()) => graphOf(topology, rates, String)

const pipeline = topologyOf(
  fn('parse', ['lines'], ['clicks', 'parse-dead']),
  fn('score', ['clicks'], ['verdicts'], { state: 'degraded', instancesWanted: 2 }),
)

test('graphText draws a pipeline', () => {
  const drawn = graphText(graph(pipeline, new Map([['parse', { in: 12, out: 11 }]])))
  assert.equal(
    drawn,
    [
      '                                                    ╭───────────────────────╮',
      '           ╭───────────────────╮ ╭─▶ clicks     ───▶│ score v1 1/2 degraded │───▶ verdicts',
      ' lines ───▶│ parse v1 1/1      │─┤                  ╰───────────────────────╯',
      '           ╰ 12/s in, 11/s out ╯ ╰─▶ parse-dead',
    ].join('\n'),
  )
})

test('graphText draws a cycle, with the arrow at the end where it arrives', () => {
  const drawn = graphText(
    graph(topologyOf(fn('loop', ['in', 'back'], ['out']), fn('again', ['out'], ['back']))),
  )
  assert.match(drawn, /│ loop v1 1\/1 │◀/)
})

test('graphText says that there is nothing to show', () => {
  assert.equal(graphText(graph(topologyOf())), 'Nothing is deployed yet.')
})

test('graphDot and graphMermaid name every node and edge', () => {
  const ids = ['f:parse', 'f:score', 's:lines', 's:clicks', 's:parse-dead', 's:verdicts']
  const dot = graphDot(graph(pipeline))
  for (const id of ids) assert.ok(dot.includes(`"${id}" [`), id)
  assert.equal(dot.match(/ -> /g)?.length, 5)
  const mermaid = graphMermaid(graph(pipeline))
  assert.match(mermaid, /^flowchart LR\n/)
  assert.equal(mermaid.match(/ --> /g)?.length, 5)
  assert.ok(mermaid.includes('stream-lines --> function-parse'))
})

test('graphSvg draws every function as a box and every edge as a path', () => {
  const svg = graphSvg(graph(pipeline))
  assert.equal(svg.match(/<rect /g)?.length, 2)
  assert.equal(svg.match(/<path d="[^"]*" marker-end/g)?.length, 5)
  assert.equal(svg.match(/class="ill"/g)?.length, 1)
  assert.doesNotMatch(svg, /NaN|undefined/)
})

test('ratesBetween gives rates per second, and leaves out instances that were restarted', () => {
  const before = topologyOf(
    fn('a', [], [], { recordsIn: 10, recordsOut: 5 }),
    fn('b', [], [], { recordsIn: 9 }),
  )
  const after = topologyOf(
    fn('a', [], [], { recordsIn: 30, recordsOut: 6 }),
    fn('b', [], []),
    fn('c', [], []),
  )
  assert.deepEqual([...ratesBetween(before, after, 2)], [['a', { in: 10, out: 0.5 }]])
})

const anyGraph: fc.Arbitrary<Graph> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 8 })), { maxLength: 16 })
  .map((pairs) => {
    const functions = [...new Set(pairs.map(([name]) => name))]
    const streamsOf = (name: number) => [
      ...new Set(pairs.filter(([other]) => other === name).map(([, stream]) => `s${stream}`)),
    ]
    const halves = (streams: string[]): [string[], string[]] => [
      streams.filter((_, i) => i % 2 === 0),
      streams.filter((_, i) => i % 2 === 1),
    ]
    return graph(topologyOf(...functions.map((name) => fn(`f${name}`, ...halves(streamsOf(name))))))
  })

test('layOut keeps Y1 and Y2, and draws every edge from its left end to its right end', () => {
  fc.assert(
    fc.property(anyGraph, (any) => {
      const sizes = { heightOf: (id: string) => (id.startsWith('f') ? 3 : 1), bendHeight: 1, gap: 1 }
      const { layers, routes } = layOut(any, sizes)
      assert.deepEqual(layOut(any, sizes), { layers, routes })
      for (const layer of layers) {
        for (const [i, node] of layer.entries()) {
          const above = layer[i - 1]
          if (above) assert.ok(node.y - node.height / 2 >= above.y + above.height / 2 + 1 - 1e-9)
        }
      }
      assert.equal(routes.length, any.edges.length)
      for (const { edge, points, backwards } of routes) {
        const ends = [points[0]!.id, points.at(-1)!.id]
        assert.deepEqual(backwards ? ends.reverse() : ends, [edge.from, edge.to])
        for (const [i, point] of points.entries()) assert.equal(point.layer, points[0]!.layer + i)
      }
    }),
  )
})

test('graphText draws every node whole, whatever the graph', () => {
  fc.assert(
    fc.property(anyGraph, (any) => {
      const drawn = graphText(any)
      for (const { kind, name, note } of any.nodes) {
        const label = kind === 'function' ? `│ ${name} ${note} │` : `${name}`
        assert.ok(drawn.includes(label), `${label} in\n${drawn}`)
      }
      const idle = drawn
        .split('\n')
        .filter((row, y, rows) => /^[ │]*$/.test(row) && row === (rows[y - 1] ?? ''))
      assert.deepEqual(idle, [], `rows that say nothing in\n${drawn}`)
    }),
  )
})
