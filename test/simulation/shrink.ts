/**
 * Shrink: removes from a script everything without which it still fails in the same way.
 * @module
 */
import type { Bug } from './bugs.ts'
import { quietNetwork } from './network.ts'
import { run } from './run.ts'
import type { Disturbance, Script } from './script.ts'

export interface ShrinkOptions {
  readonly steps: number
  readonly bugs?: ReadonlySet<Bug>
  /** What it violates. */
  readonly invariant: string
}

export function shrink(script: Script, options: ShrinkOptions): Script {
  const failsWith = (candidate: Script): boolean =>
    run(candidate, options).failure?.invariant === options.invariant
  let shrunk = script
  const attempt = (candidate: Script): boolean => {
    if (!failsWith(candidate)) return false
    shrunk = candidate
    return true
  }
  attempt({ ...shrunk, network: quietNetwork })
  // Large parts first, then smaller ones, at last one by one until none can go.
  for (let size = shrunk.disturbances.length; size >= 1; ) {
    let isSmaller = false
    for (let at = 0; at < shrunk.disturbances.length; ) {
      if (attempt({ ...shrunk, disturbances: without(shrunk.disturbances, at, size) })) isSmaller = true
      else at += size
    }
    if (size === 1 && !isSmaller) break
    size = size === 1 ? 1 : Math.ceil(size / 2)
  }
  for (const what of Object.keys(quietNetwork) as (keyof typeof quietNetwork)[])
    attempt({ ...shrunk, network: { ...shrunk.network, [what]: quietNetwork[what] } })
  return shrunk
}

function without(of: readonly Disturbance[], at: number, size: number): readonly Disturbance[] {
  return [...of.slice(0, at), ...of.slice(at + size)]
}

/** A script as its reader, and found.ts, wants it. */
export function scriptText({ seed, network, beatMs, disturbances }: Script): string {
  const lines = disturbances.map(
    ({ atMs, kind, choice }) => `    { atMs: ${atMs}, kind: '${kind}', choice: ${choice} },`,
  )
  const conditions = Object.entries(network).map(([what, much]) => `${what}: ${much}`)
  return `{\n  seed: ${seed},\n  beatMs: ${beatMs},\n  network: { ${conditions.join(', ')} },\n  disturbances: [\n${lines.join('\n')}\n  ],\n}`
}
