/**
 * IsolateGlobals: the names of the globals where functions run. They are not listed here: the script that makes them in
 * an isolate makes them in a context of Node's `vm`, too, which has nothing of Node either.
 *
 * Where this Node's V8 has less than an isolate's, so has the context. runner/isolate/guest/globals.test.ts compares both.
 * @module
 */
import { createContext, runInContext } from 'node:vm'

/** @param script dist/probe-globals.js. */
export function isolateGlobals(script: string): readonly string[] {
  const context = createContext()
  runInContext(script, context)
  return runInContext('Object.getOwnPropertyNames(globalThis)', context) as string[]
}
