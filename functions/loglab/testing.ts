/**
 * What the tests of this folder share: logs of all kinds, and pipelines of test kits.
 * @module
 */
import type { FunctionDefinition } from 'concord'
import { type TestKit, testKit } from 'concord/testkit'
import { Random } from '../demo/random.ts'
import { generateLog } from './generator.ts'

/** A small log of any kind: dense or sparse, in order or up to ten seconds out of it. */
export function anyLogOf(seed: number, lines: number): string[] {
  const random = new Random(seed)
  return [
    ...generateLog(seed, {
      lines,
      everyMs: random.pick([5, 300, 2500, 40_000, 1e9]),
      disorderMs: random.pick([0, 3000, 10_000]),
      repeats: random.pick([0, 0.3]),
    }),
  ]
}

export function kitOf(definition: FunctionDefinition, env: Record<string, string> = {}): TestKit {
  return testKit(definition, { env })
}

/** Sends lines, all with one key unless told: so they stay in order. */
export function sendLines(kit: TestKit, lines: readonly string[], keyOf = (_: string) => ''): TestKit {
  for (const line of lines) kit.send('logs', keyOf(line), line)
  return kit
}

/** Gives one kit what another put out. */
export function pipe(from: TestKit, to: TestKit): TestKit {
  for (const { stream, keyBytes, value, timeMs } of from.outputs())
    to.send(stream, keyBytes, value, { timeMs })
  return to
}
