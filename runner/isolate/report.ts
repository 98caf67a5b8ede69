/**
 * Report: what an isolate said of an error, checked and mapped to the author's source.
 * @module
 */
import type { ErrorReport } from '../../infra/control/messages.ts'
import { type StackMap, spell } from './stack-map.ts'

/** Reads the JSON of a report; what is not there or not text becomes empty. Lengths were capped by the log's reader. */
export function parseReport(json: string, stackMap: StackMap, timeMs: number): ErrorReport {
  const { name, message, stack } = fields(json)
  const mapped = stackMap.map(stack)
  return {
    name: name === '' ? 'Error' : name,
    message,
    stack: mapped.stack,
    ...(mapped.at === undefined ? {} : { at: spell(mapped.at) }),
    timeMs,
  }
}

function fields(json: string): { name: string; message: string; stack: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    parsed = undefined
  }
  const text = (key: string): string => {
    const value: unknown =
      typeof parsed === 'object' && parsed !== null
        ? Object.getOwnPropertyDescriptor(parsed, key)?.value
        : undefined
    return typeof value === 'string' ? value : ''
  }
  return { name: text('name'), message: text('message'), stack: text('stack') }
}
