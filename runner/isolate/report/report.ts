/**
 * Report: an isolate's report of an error, checked and mapped to the author's source.
 * @module
 */
import type { ErrorReport } from '../../../infra/control/messages/heartbeat.ts'
import { readFields } from '../../../sdk/runtime/index.ts'
import { type StackMap, spell } from './stack-map.ts'

/** Reads the text of a report. Lengths were capped by the log's reader. */
export function parseReport(text: string, stackMap: StackMap, timeMs: number): ErrorReport {
  const { name, message, stack } = readFields(text)
  if (stack === '') return { name: name === '' ? 'Error' : name, message, stack: '', timeMs }
  const mapped = stackMap.map(stack)
  return {
    name: name === '' ? 'Error' : name,
    message,
    stack: mapped.stack,
    ...(mapped.at === undefined ? {} : { at: spell(mapped.at) }),
    timeMs,
  }
}
