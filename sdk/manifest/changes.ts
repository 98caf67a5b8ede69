/**
 * Changes: what differs between two documents, value by value. Pure.
 * @module
 */

export interface Change {
  /** The path of the value, as in `limits.heapMib`. */
  readonly path: string
  /** Absent if there was no value before, or is none now. */
  readonly before?: unknown
  readonly after?: unknown
}

/** Lists are compared as a whole. */
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

/** As in `limits.heapMib: 64 → 128`. */
export function changeText({ path, before, after }: Change): string {
  if (before === undefined) return `${path}: ${JSON.stringify(after)}, new`
  if (after === undefined) return `${path}: ${JSON.stringify(before)}, gone`
  return `${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`
}

/** Whether a value is an object with keys, and no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
