/**
 * Chart: figures over time, as lines for a terminal and as an SVG.
 * @module
 */

export interface Row {
  readonly name: string
  readonly values: readonly number[]
  readonly unit?: string
}

const cells = ' ▁▂▃▄▅▆▇█'

/** One line of the given width for each row. Each cell shows the maximum of its part of the time. */
export function chartText(rows: readonly Row[], columns: number): string {
  const width = Math.max(...rows.map(({ name }) => name.length))
  return rows
    .map(({ name, values, unit = '' }) => {
      const parts = partsOf(values, columns)
      const most = Math.max(...parts, 0)
      const bars = parts.map((value) => cells[most <= 0 ? 0 : Math.ceil((value / most) * 8)]).join('')
      return `${name.padEnd(width)} ${bars} max ${figure(most)}${unit}`
    })
    .join('\n')
}

/** The same as an image: a panel for each row, one above the other. */
export function chartSvg(rows: readonly Row[], title: string, seconds: number): string {
  const [width, height, left, top, gap] = [900, 120, 90, 40, 34]
  const total = top + rows.length * (height + gap) + 20
  const panels = rows.map(({ name, values, unit = '' }, i) => {
    const parts = partsOf(values, Math.min(values.length, 600))
    const most = Math.max(...parts, 1e-9)
    const y0 = top + i * (height + gap)
    const x = (at: number): number => left + (at / Math.max(1, parts.length - 1)) * (width - left - 20)
    const y = (value: number): number => y0 + height - (value / most) * height
    const line = parts.map((value, at) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    const base = `${x(parts.length - 1).toFixed(1)},${y0 + height} ${left},${y0 + height}`
    return [
      `<text x="${left}" y="${y0 - 6}" class="name">${escaped(name)}</text>`,
      `<text x="${left - 8}" y="${y0 + 10}" class="axis">${figure(most)}${escaped(unit)}</text>`,
      `<text x="${left - 8}" y="${y0 + height}" class="axis">0</text>`,
      `<polygon points="${line} ${base}" class="area"/><polyline points="${line}" class="line"/>`,
    ].join('\n')
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" font-family="sans-serif" font-size="12">
<style>.name{font-weight:bold}.axis{text-anchor:end;fill:#667}.area{fill:#4a7ebb33}.line{fill:none;stroke:#2c5d94;stroke-width:1.5}</style>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="18" font-size="14">${escaped(title)}</text>
${panels.join('\n')}
<text x="${width - 20}" y="${total - 8}" class="axis">${figure(seconds)} s</text>
</svg>
`
}

function partsOf(values: readonly number[], columns: number): number[] {
  const count = Math.max(1, Math.min(columns, values.length))
  return Array.from({ length: count }, (_, i) => {
    const from = Math.floor((i * values.length) / count)
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / count))
    return Math.max(...values.slice(from, to).map((value) => (Number.isFinite(value) ? value : 0)))
  })
}

function figure(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
