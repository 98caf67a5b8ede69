/**
 * AbsentText: says which globals a function uses that are absent where it runs, and what there is instead.
 * @module
 */
import type { AbsentUse } from '../project/absent-globals.ts'

const noNetwork = 'a function has no network: docs/enrichment.md says how it asks other systems'
const stored = 'ctx.setState keeps a value by key, and ctx.getState reads it'
const timers = 'ctx.setTimer calls processTimer later'
const instead: Readonly<Record<string, string>> = {
  Buffer: 'use Uint8Array, TextEncoder and TextDecoder, atob and btoa',
  process: "ctx.env and ctx.args have what 'env' and 'args' of concord.jsonc say",
  fetch: noNetwork,
  WebSocket: noNetwork,
  EventSource: noNetwork,
  'crypto.subtle': 'a package in plain JavaScript can hash and sign',
  localStorage: stored,
  sessionStorage: stored,
  setInterval: timers,
  setImmediate: timers,
  global: 'use globalThis',
  'import.meta.url': 'a function is no file; ctx.asset reads what is deployed beside it',
}
const otherwise = 'see docs/functions.md, "Time and randomness"'

export function absentText({ names, package: of, place, more }: AbsentUse): string {
  const where = more === 0 ? place : `${place} and ${more} more ${more === 1 ? 'place' : 'places'}`
  const absent = `${names.map((name) => `'${name}'`).join(', ')} ${names.length === 1 ? 'is' : 'are'} not there where functions run`
  if (of === undefined) return `${where}: ${absent}: ${instead[names[0]!] ?? otherwise}`
  return `package ${of}: ${absent} (${where}): a record that gets there fails, also if a unit test does not`
}
