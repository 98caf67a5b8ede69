/**
 * Formats: writes a topology as Graphviz DOT, as a Mermaid flowchart, or as SVG.
 * @module
 */
import { layOut, type Placed, type Route } from './layout.ts'
import type { Graph, GraphNode } from './model.ts'

export function graphDot({ nodes, edges }: Graph): string {
  const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
  const node = ({ id, kind, ...rest }: GraphNode) => {
    const label = quoted(labelLines(rest).join('\n')).replaceAll('\n', '\\n')
    return `  ${quoted(id)} [label=${label}, shape=${kind === 'function' ? 'box, style=rounded' : 'plaintext'}]`
  }
  const edge = ({ from, to }: { from: string; to: string }) => `  ${quoted(from)} -> ${quoted(to)}`
  return ['digraph concord {', '  rankdir=LR', ...nodes.map(node), ...edges.map(edge), '}'].join('\n')
}

export function graphMermaid({ nodes, edges }: Graph): string {
  // A name may be a reserved word of Mermaid, such as "end". With the kind in front of it, it is not.
  const name = (id: string) => id.replace(/^f:/, 'function-').replace(/^s:/, 'stream-')
  const node = ({ id, kind, ...rest }: GraphNode) => {
    const label = `"${labelLines(rest).join('<br>')}"`
    return `  ${name(id)}${kind === 'function' ? `(${label})` : `[/${label}/]`}`
  }
  return [
    'flowchart LR',
    ...nodes.map(node),
    ...edges.map(({ from, to }) => `  ${name(from)} --> ${name(to)}`),
  ].join('\n')
}

function labelLines({ name, note, rate }: Pick<GraphNode, 'name' | 'note' | 'rate'>): string[] {
  return [`${name} ${note}`.trim(), rate].filter((line) => line !== '')
}

const charPx = 7.3
const linePx = 18
const marginPx = 16
const gapPx = 56

export function graphSvg(graph: Graph): string {
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]))
  const heightOf = (id: string) =>
    (nodes.get(id)!.kind === 'function' ? 20 : 8) + linePx * labelLines(nodes.get(id)!).length
  const { layers, routes } = layOut(graph, { heightOf, bendHeight: 4, gap: 18 })
  const widthOf = ({ id }: Placed) => {
    const node = nodes.get(id)
    return node ? Math.ceil(Math.max(...labelLines(node).map((line) => line.length)) * charPx) + 24 : 0
  }
  const columns = columnsOf(layers, widthOf)
  const width = columns.at(-1)?.end ?? 0
  const height = Math.max(0, ...layers.flat().map((node) => node.y + node.height / 2))
  const box = `0 0 ${Math.ceil(width + 2 * marginPx)} ${Math.ceil(height + 2 * marginPx)}`
  const leftOf = (node: Placed) => columns[node.layer]!.start
  const rightOf = (node: Placed) =>
    nodes.has(node.id) ? leftOf(node) + widthOf(node) : columns[node.layer]!.end
  const drawn = layers.flat().filter(({ id }) => nodes.has(id))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" font-family="ui-monospace, monospace" font-size="12">`,
    '<style>rect{fill:#f4f7fb;stroke:#31506f}.ill{stroke:#c0392b}path{fill:none;stroke:#7a8ea3;stroke-width:1.5}.s{fill:#555}</style>',
    '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" style="fill:#7a8ea3;stroke:none"/></marker></defs>',
    `<g transform="translate(${marginPx} ${marginPx})">`,
    ...routes.map((route) => pathOf(route, leftOf, rightOf)),
    ...drawn.map((node) => svgNode(nodes.get(node.id)!, node, leftOf(node), widthOf(node))),
    '</g>',
    '</svg>',
  ].join('\n')
}

function columnsOf(
  layers: readonly (readonly Placed[])[],
  widthOf: (node: Placed) => number,
): { start: number; end: number }[] {
  let start = 0
  return layers.map((layer) => {
    const column = { start, end: start + Math.max(0, ...layer.map(widthOf)) }
    start = column.end + gapPx
    return column
  })
}

function pathOf(
  { points, backwards }: Route,
  leftOf: (node: Placed) => number,
  rightOf: (node: Placed) => number,
): string {
  const parts = points.slice(1).map((to, i) => {
    const from = points[i]!
    const [x1, x2] = [rightOf(from), leftOf(to)]
    const middle = (x1 + x2) / 2
    const [y1, y2] = [Math.round(from.y), Math.round(to.y)]
    const curve = `${i === 0 ? `M${x1} ${y1}` : ''}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`
    return i + 2 < points.length ? `${curve}L${rightOf(to)} ${y2}` : curve
  })
  return `<path d="${parts.join('')}" marker-${backwards ? 'start' : 'end'}="url(#a)"/>`
}

function svgNode(node: GraphNode, placed: Placed, x: number, width: number): string {
  const { height } = placed
  const y = Math.round(placed.y)
  const lines = labelLines(node)
  const rect = `<rect x="${x}" y="${y - height / 2}" width="${width}" height="${height}" rx="8"${node.healthy ? '' : ' class="ill"'}/>`
  const firstY = y - ((lines.length - 1) * linePx) / 2 + 4
  const text = lines.map(
    (line, i) =>
      `<text x="${x + width / 2}" y="${firstY + i * linePx}" text-anchor="middle"${node.kind === 'stream' ? ' class="s"' : ''}>${escaped(line)}</text>`,
  )
  return [...(node.kind === 'function' ? [rect] : []), ...text].join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
