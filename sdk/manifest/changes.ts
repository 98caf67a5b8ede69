/**
 * Changes: what differs between two documents, value by value. Pure.
 * @module
 */

export interface Change {
  /** Where, as `limits.heapMib`. */
  readonly path: string
  /** Absent where there was nothing, or is nothing any more. */
  readonly before?: unknown
  readonly after?: unknown
}

/** Lists are compared whole. */
export function changesBetween(before: unknown, after: unknown, path = ''): Change[] {
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    return keys.flatMap((key) =>
      changesBetween(before[key], after[key], path === '' ? key : `${path}.${key}`),
    )
  }
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const change: { path: string; before?: unknown; after?: unknown } = { path }
  if (before !== undefined) change.before = before
  if (after !== undefined) change.after = after
  return [change]
}

/** As `limits.heapMib: 64 → 128`. */
export function changeText({ path, before, after }: Change): string {
  if (before === undefined) return `${path}: ${JSON.stringify(after)}, new`
  if (after === undefined) return `${path}: ${JSON.stringify(before)}, gone`
  return `${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
