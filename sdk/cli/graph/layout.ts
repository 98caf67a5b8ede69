/**
 * Layout: places a small directed graph in layers from left to right, after Sugiyama, Tagawa and Toda (1981).
 *
 *   cycles are cut (the edge that closes one is laid backwards) → layers by the longest way from a source →
 *   bends where an edge passes a layer → order within layers by the neighbours' mean → heights
 *
 *  Y1. The same graph is always laid out in the same way.
 *  Y2. Nodes of one layer are in their order and at least `gap` apart.
 * Topologies have tens of nodes: what is quadratic here does not matter.
 * @module
 */
import type { Graph, GraphEdge } from './model.ts'

/** A node, or the bend of an edge where it passes a layer. */
export interface Placed {
  readonly id: string
  readonly layer: number
  readonly height: number
  /** The vertical centre. */
  y: number
}

export interface Route {
  readonly edge: GraphEdge
  /** From left to right: node, bends, node. */
  readonly points: readonly Placed[]
  /** The edge points from right to left: it closes a cycle. */
  readonly backwards: boolean
}

export interface Layout {
  readonly layers: readonly (readonly Placed[])[]
  readonly routes: readonly Route[]
}

export interface Sizes {
  readonly heightOf: (id: string) => number
  readonly bendHeight: number
  readonly gap: number
}

export function layOut(graph: Graph, sizes: Sizes): Layout {
  const ids = graph.nodes.map(({ id }) => id).sort()
  const edges = withoutCycles(ids, graph.edges)
  const layerOf = longestWays(ids, edges)
  const placed = new Map(
    ids.map((id) => [id, { id, layer: layerOf.get(id)!, height: sizes.heightOf(id), y: 0 }]),
  )
  const layers: Placed[][] = []
  for (const node of placed.values()) put(layers, node)
  const routes = edges.map(({ edge, left, right, backwards }) => {
    const [from, to] = [placed.get(left)!, placed.get(right)!]
    const bends: Placed[] = []
    for (let layer = from.layer + 1; layer < to.layer; layer++) {
      bends.push(put(layers, { id: `${left}>${right}@${layer}`, layer, height: sizes.bendHeight, y: 0 }))
    }
    return { edge, points: [from, ...bends, to], backwards }
  })
  orderLayers(layers, routes, sizes.gap)
  return { layers, routes }
}

interface Directed {
  readonly edge: GraphEdge
  readonly left: string
  readonly right: string
  readonly backwards: boolean
}

/** Reverses each edge that closes a cycle in a depth-first walk. */
function withoutCycles(ids: readonly string[], edges: readonly GraphEdge[]): Directed[] {
  const state = new Map<string, 'open' | 'done'>()
  const directed: Directed[] = []
  const visit = (id: string): void => {
    state.set(id, 'open')
    for (const edge of edges.filter(({ from }) => from === id)) {
      const backwards = state.get(edge.to) === 'open'
      directed.push({ edge, left: backwards ? edge.to : id, right: backwards ? id : edge.to, backwards })
      if (!state.has(edge.to)) visit(edge.to)
    }
    state.set(id, 'done')
  }
  const targets = new Set(edges.map(({ to }) => to))
  const sourcesFirst = [...ids].sort((a, b) => Number(targets.has(a)) - Number(targets.has(b)))
  for (const id of sourcesFirst) if (!state.has(id)) visit(id)
  return directed
}

function longestWays(ids: readonly string[], edges: readonly Directed[]): Map<string, number> {
  const layerOf = new Map(ids.map((id) => [id, 0]))
  for (let changed = true; changed; ) {
    changed = false
    for (const { left, right } of edges) {
      const least = left === right ? 0 : layerOf.get(left)! + 1
      if (layerOf.get(right)! >= least) continue
      layerOf.set(right, least)
      changed = true
    }
  }
  return layerOf
}

function put(layers: Placed[][], node: Placed): Placed {
  while (layers.length <= node.layer) layers.push([])
  layers[node.layer]!.push(node)
  return node
}

/**
 * Sweeps right and left: the wanted height of a node is the mean height of its neighbours; order and heights follow
 * from it.
 */
function orderLayers(layers: Placed[][], routes: readonly Route[], gap: number): void {
  const neighbours = new Map<Placed, Placed[]>(layers.flat().map((node) => [node, []]))
  for (const { points } of routes) {
    for (let i = 1; i < points.length; i++) {
      neighbours.get(points[i - 1]!)!.push(points[i]!)
      neighbours.get(points[i]!)!.push(points[i - 1]!)
    }
  }
  for (const layer of layers) stack(layer, gap, (node) => layer.indexOf(node))
  const wish = (side: -1 | 0 | 1) => (node: Placed) => {
    const near = neighbours.get(node)!.filter(({ layer }) => side === 0 || layer === node.layer + side)
    return near.length === 0 ? node.y : near.reduce((sum, { y }) => sum + y, 0) / near.length
  }
  for (let sweep = 0; sweep < 8; sweep++) {
    for (const layer of layers) stack(layer, gap, wish(-1))
    for (const layer of [...layers].reverse()) stack(layer, gap, wish(1))
  }
  for (const layer of layers) stack(layer, gap, wish(-1))
  const top = Math.min(...layers.flat().map(({ y, height }) => y - height / 2), Number.POSITIVE_INFINITY)
  for (const node of layers.flat()) node.y -= top
}

/** Sorts a layer by the wanted heights, and places each node as near to its own as Y2 allows. */
function stack(layer: Placed[], gap: number, wish: (node: Placed) => number): void {
  const wished = new Map(layer.map((node) => [node, wish(node)]))
  layer.sort((a, b) => wished.get(a)! - wished.get(b)!)
  for (const [i, node] of layer.entries()) {
    const above = layer[i - 1]
    const least = above ? above.y + (above.height + node.height) / 2 + gap : Number.NEGATIVE_INFINITY
    node.y = Math.max(wished.get(node)!, least)
  }
  const pushed = layer.reduce((sum, node) => sum + node.y - wished.get(node)!, 0) / Math.max(1, layer.length)
  for (const node of layer) node.y -= pushed
}
