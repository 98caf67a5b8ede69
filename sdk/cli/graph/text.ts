/**
 * Text: a topology drawn with box characters for a terminal.
 *
 * Columns are layers; in the gap between two, every left end has a track of its own on which its lines go up and down.
 *  G1. A track whose row is also a right end's row lies left of that one's, so that two lines never share a cell in
 *      the same direction (unless such wishes form a circle).
 * @module
 */
import { type Layout, layOut, type Placed, type Route } from './layout.ts'
import type { Graph, GraphNode } from './model.ts'

const up = 1
const down = 2
const left = 4
const right = 8
const lines: Readonly<Record<number, string>> = {
  [up]: '│',
  [down]: '│',
  [up | down]: '│',
  [left]: '─',
  [right]: '─',
  [left | right]: '─',
  [down | right]: '╭',
  [down | left]: '╮',
  [up | right]: '╰',
  [up | left]: '╯',
  [up | down | right]: '├',
  [up | down | left]: '┤',
  [left | right | down]: '┬',
  [left | right | up]: '┴',
  [up | down | left | right]: '┼',
}

export function graphText(graph: Graph): string {
  if (graph.nodes.length === 0) return 'Nothing is deployed yet.'
  const nodes = new Map(graph.nodes.map((node) => [node.id, boxOf(node)]))
  const heightOf = (id: string) => nodes.get(id)!.length
  const layout = layOut(graph, { heightOf, bendHeight: 1, gap: 1 })
  snapToRows(layout)
  const canvas = new Canvas()
  let x = 0
  for (const [index, layer] of layout.layers.entries()) {
    const width = Math.max(...layer.map(({ id }) => nodes.get(id)?.[0]?.length ?? 0))
    for (const placed of layer) drawNode(canvas, nodes.get(placed.id), placed, x, width)
    x += width
    x = drawGap(canvas, layout.routes, index, x)
  }
  return canvas.toString()
}

/** Layouts have fractional heights, terminals have rows. The nodes of a layer keep their order and distance. */
function snapToRows({ layers }: Layout): void {
  for (const layer of layers) {
    let free = 0
    for (const node of layer) {
      const half = (node.height - 1) / 2
      node.y = Math.max(Math.round(node.y - 0.5), free + half)
      free = node.y + half + 2
    }
  }
}

/** The lines of a node: all of the same length and odd in number, so that there is a middle one. */
function boxOf({ kind, name, note, rate }: GraphNode): string[] {
  if (kind === 'stream') return [` ${name}${note === '' ? '' : ` ${note}`} `]
  const text = `${name} ${note}`
  const width = Math.max(text.length, rate.length) + 2
  const foot = rate === '' ? '─'.repeat(width) : ` ${rate} `.padEnd(width, '─')
  return [`╭${'─'.repeat(width)}╮`, `│ ${text.padEnd(width - 2)} │`, `╰${foot}╯`]
}

function drawNode(
  canvas: Canvas,
  box: readonly string[] | undefined,
  placed: Placed,
  x: number,
  width: number,
): void {
  if (box === undefined) {
    for (let i = 0; i < width; i++) canvas.line(x + i, placed.y, left | right)
    return
  }
  const top = placed.y - (box.length - 1) / 2
  for (const [row, text] of box.entries()) canvas.text(x, top + row, text)
  for (let i = box[0]!.length; i < width; i++) canvas.line(x + i, placed.y, left | right, true)
}

interface Track {
  readonly row: number
  readonly targets: { readonly row: number; readonly arrow: boolean; readonly backwards: boolean }[]
}

/** Draws the lines between layer `index` and the next. @returns The column where the next layer begins. */
function drawGap(canvas: Canvas, routes: readonly Route[], index: number, x: number): number {
  const tracks = tracksOf(routes, index)
  const end = x + tracks.length + 3
  for (const [position, { row, targets }] of tracks.entries()) {
    const trackX = x + 1 + position
    if (targets.some(({ backwards }) => backwards)) canvas.text(x, row, '◀')
    for (const target of targets) {
      drawLine(canvas, x, trackX, end - 1, row, target.row)
      if (target.arrow) canvas.text(end - 1, target.row, '▶')
    }
  }
  return end
}

function tracksOf(routes: readonly Route[], index: number): Track[] {
  const tracks = new Map<Placed, Track>()
  for (const { points, backwards } of routes) {
    const i = points.findIndex(({ layer }) => layer === index)
    const [from, to] = [points[i], points[i + 1]]
    if (i < 0 || from === undefined || to === undefined) continue
    const track = tracks.get(from) ?? { row: from.y, targets: [] }
    tracks.set(from, track)
    track.targets.push({
      row: to.y,
      arrow: !backwards && i + 2 === points.length,
      backwards: backwards && i === 0,
    })
  }
  return inOrder([...tracks.values()])
}

/** Orders the tracks (G1): takes next a track that no remaining one has to precede. */
function inOrder(tracks: Track[]): Track[] {
  const mustPrecede = (a: Track, b: Track) => a !== b && b.targets.some(({ row }) => row === a.row)
  const ordered: Track[] = []
  const open = tracks.sort((a, b) => a.row - b.row)
  while (open.length > 0) {
    const free = open.findIndex((track) => !open.some((other) => mustPrecede(other, track)))
    ordered.push(...open.splice(Math.max(0, free), 1))
  }
  return ordered
}

/** Draws a line right along `row` to the track, along the track to `targetRow`, and right again. */
function drawLine(
  canvas: Canvas,
  x: number,
  trackX: number,
  endX: number,
  row: number,
  targetRow: number,
): void {
  for (let at = x; at < trackX; at++) canvas.line(at, row, left | right)
  for (let at = trackX + 1; at <= endX; at++) canvas.line(at, targetRow, left | right)
  if (row === targetRow) return canvas.line(trackX, row, left | right)
  const ahead = targetRow > row ? down : up
  const behind = targetRow > row ? up : down
  canvas.line(trackX, row, left | ahead)
  for (let at = Math.min(row, targetRow) + 1; at < Math.max(row, targetRow); at++)
    canvas.line(trackX, at, up | down)
  canvas.line(trackX, targetRow, behind | right)
}

class Canvas {
  readonly #texts = new Map<number, Map<number, string>>()
  readonly #lines = new Map<number, Map<number, number>>()

  text(x: number, y: number, text: string): void {
    for (const [i, character] of [...text].entries()) rowOf(this.#texts, y).set(x + i, character)
  }

  line(x: number, y: number, directions: number, faint = false): void {
    const row = rowOf(this.#lines, y)
    if (!faint || row.has(x)) row.set(x, (row.get(x) ?? 0) | directions)
  }

  /** The rows as text, without those that only repeat the row above: the heights of a layout leave some. */
  toString(): string {
    const rows = Math.max(...this.#texts.keys(), ...this.#lines.keys()) + 1
    const texts = Array.from({ length: rows }, (_, y) => this.#rowText(y))
    return texts.filter((text, y) => !/^[ │]*$/.test(text) || text !== (texts[y - 1] ?? '')).join('\n')
  }

  #rowText(y: number): string {
    const texts = rowOf(this.#texts, y)
    const drawn = rowOf(this.#lines, y)
    const width = Math.max(-1, ...texts.keys(), ...drawn.keys()) + 1
    const cell = (x: number) => texts.get(x) ?? lines[drawn.get(x) ?? 0] ?? ' '
    return Array.from({ length: width }, (_, x) => cell(x))
      .join('')
      .trimEnd()
  }
}

function rowOf<T>(rows: Map<number, Map<number, T>>, y: number): Map<number, T> {
  const row = rows.get(y) ?? new Map<number, T>()
  rows.set(y, row)
  return row
}
