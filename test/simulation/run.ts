/**
 * Run: runs one seed: a number of steps with faults, and then steps until everything is as it should be.
 * @module
 */
import type { Bug } from './bugs.ts'
import type { Script } from './script.ts'
import { must, Violation } from './violation.ts'
import { World } from './world.ts'

const convergesMs = 900_000
const lookMs = 3_000
/** The accounts of instances that have ended are kept open for some seconds, and then written. */
const closingMs = 8_000

export interface RunOptions {
  readonly steps: number
  readonly bugs?: ReadonlySet<Bug>
  readonly trace?: (line: string) => void
}

export interface Outcome {
  readonly steps: number
  /** Steps that it took until all was well, once faults had stopped. */
  readonly calmSteps: number
  readonly failure:
    | { readonly invariant: string; readonly message: string; readonly atMs: number }
    | undefined
  /** What has happened, to see that the simulation does what it should. */
  readonly accepted: number
  readonly refused: number
  readonly launched: number
}

export function run(script: Script, options: RunOptions): Outcome {
  const { bugs = new Set(), trace } = options
  const world = new World(script, bugs)
  const { loop, plane } = world
  const startMs = loop.nowMs()
  if (trace !== undefined)
    loop.trace = (line) => trace(`${((loop.nowMs() - startMs) / 1000).toFixed(3).padStart(9)}  ${line}`)
  let failure: Outcome['failure']
  let faulty = 0
  try {
    while (loop.steps < options.steps && world.step());
    faulty = loop.steps
    settle(world)
  } catch (error) {
    const invariant = error instanceof Violation ? error.invariant : 'no error'
    const message = error instanceof Violation ? error.message : String((error as Error).stack)
    failure = { invariant, message, atMs: loop.nowMs() - startMs }
  }
  const { accepted, refused } = plane
  return {
    steps: loop.steps,
    calmSteps: loop.steps - faulty,
    failure,
    accepted,
    refused,
    launched: world.runners.size,
  }
}

/** Wanted and actual converge once faults stop, and then nothing is done any more. */
function settle(world: World): void {
  const { loop } = world
  world.calm()
  const untilMs = loop.nowMs() + convergesMs
  let amiss: string | undefined = 'not looked at'
  while (amiss !== undefined) {
    must(loop.nowMs() < untilMs, 'converges', () => `${convergesMs / 1000} s after the last fault ${amiss}`)
    pass(world, lookMs)
    amiss = world.amiss
  }
  const { forgotten } = world.gateway
  must(forgotten === undefined, 'no command is forgotten', () => forgotten ?? '')
  const acted = (): number => world.schedulers.reduce((sum, scheduler) => sum + scheduler.acted, 0)
  pass(world, closingMs)
  const before = acted()
  pass(world, 2 * lookMs)
  must(world.amiss === undefined, 'stays as it is', () => world.amiss ?? '')
  must(acted() === before, 'stays as it is', () => `${acted() - before} actions when all was well`)
}

function pass(world: World, ms: number): void {
  const untilMs = world.loop.nowMs() + ms
  while (world.step(untilMs));
  world.loop.passTo(untilMs)
}
