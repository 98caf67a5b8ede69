/**
 * Text: figures as text for people.
 * @module
 */

export function count(value: number): string {
  return value.toLocaleString('en')
}

/** `1 client`, `3 clients`. */
export function counted(value: number, what: string): string {
  return `${count(value)} ${what}${value === 1 ? '' : 's'}`
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

/** Formats rows as columns; numbers are aligned right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)))
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  const numeric = widths.map((_, column) => rows.some((row) => typeof row[column] === 'number'))
  const pad = (cell: string, column: number) =>
    numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
  return cells.map((row) => `  ${row.map(pad).join('  ')}`.trimEnd()).join('\n')
}
