/**
 * IsolateGlobals: the names of the globals where functions run. They are not listed here: the script that makes them in
 * an isolate makes them in a context of Node's `vm`, too, which has nothing of Node either.
 *
 * Where this Node's V8 has less than an isolate's, so has the context. runner/isolate/guest/globals.test.ts compares both.
 * @module
 */
import { createContext, runInContext } from 'node:vm'

/** Globals of later Nodes than 20: types and unit tests know them, even if the command line runs on an earlier one. */
const ofLaterNodes = [
  ...['CloseEvent', 'ErrorEvent', 'EventSource', 'Navigator', 'Storage', 'URLPattern', 'WebSocket'],
  ...['localStorage', 'navigator', 'sessionStorage'],
]

/** @param script dist/probe-globals.js. */
export function isolateGlobals(script: string): readonly string[] {
  const context = createContext()
  runInContext(script, context)
  return [...(runInContext(`(${namesIn})(globalThis)`, context) as string[])] // an array of this realm
}

/** The globals of Node that a function lacks: `Buffer`, and `crypto.subtle` where `crypto` itself is there. */
export function absentGlobals(script: string): readonly string[] {
  const there = new Set(isolateGlobals(script))
  const ofNode = new Set([...namesIn(globalThis, [...there]), ...ofLaterNodes])
  return [...ofNode].filter((name) => !there.has(name))
}

/**
 * The names of a realm's globals, with those of the members of objects such as `console`. Self-contained: it runs in other
 * realms too.
 * @param only The globals whose members count: to read another one may load much, or warn.
 */
export function namesIn(realm: object, only = Object.getOwnPropertyNames(realm)): string[] {
  const names: string[] = []
  for (const name of Object.getOwnPropertyNames(realm)) {
    names.push(name)
    const value: unknown = only.includes(name) ? Reflect.get(realm, name) : undefined
    if (typeof value !== 'object' || value === realm) continue
    for (let at = value; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at))
      for (const member of Object.getOwnPropertyNames(at))
        if (member !== 'constructor') names.push(`${name}.${member}`)
  }
  return names
}
