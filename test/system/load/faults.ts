/**
 * Faults: what may happen to a platform under load. Each ends when the platform has been given back all that was taken from it;
 * whether it recovers is for the test to see.
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Random } from '../../../functions/demo/random.ts'
import type { Platform } from '../platform.ts'

export interface Stage {
  readonly platform: Platform
  /** The function under load. */
  readonly name: string
  readonly random: Random
  /** Deploys its next version. */
  readonly redeploy: () => Promise<void>
}

type Fault = (stage: Stage) => Promise<void>
type Process = 'nats-server' | 'gateway' | 'scheduler' | 'minimesos'

export const faults = {
  'a runner killed': async (stage) => signal((await runnerOf(stage)).runner, 'SIGKILL'),
  'a watchdog killed': async (stage) => signal((await runnerOf(stage)).watchdog, 'SIGKILL'),
  'a runner and its watchdog stopped': async (stage) => {
    const { runner, watchdog } = await runnerOf(stage)
    await stopped([watchdog, runner], stage.random.integer(500, 4000))
  },
  'nats-server killed': kill('nats-server'),
  'nats-server stopped': stop('nats-server'),
  'the gateway killed': kill('gateway'),
  'the gateway stopped': stop('gateway'),
  'the scheduler killed': kill('scheduler'),
  'the scheduler stopped': stop('scheduler'),
  'minimesos killed': kill('minimesos'),
  'instances more or less': async ({ platform, name, random }) => {
    await platform.json(['fn', 'scale', name, String(random.integer(1, 3)), '--no-wait'])
  },
  'an instance replaced': async ({ platform, name }) => {
    await platform.json(['kill', '-id', `${name}-0`, '--restart'])
  },
  'a new version': async ({ redeploy }) => redeploy(),
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof faults

/** The platform's own processes, as the supervisor knows them now. */
export function pidOf({ home }: Platform, name: Process): number {
  const up = JSON.parse(readFileSync(join(home, 'up.json'), 'utf8')) as {
    processes: Record<string, { pid: number }>
  }
  return up.processes[name]!.pid
}

function kill(name: Process): (stage: Pick<Stage, 'platform'>) => Promise<void> {
  return async ({ platform }) => {
    const pid = pidOf(platform, name)
    signal(pid, 'SIGKILL')
    await platform.untilUp(() => pidOf(platform, name) !== pid)
  }
}

function stop(name: Process): Fault {
  return async ({ platform, random }) => stopped([pidOf(platform, name)], random.integer(500, 4000))
}

async function stopped(pids: readonly number[], ms: number): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGSTOP')
  try {
    await setTimeout(ms)
  } finally {
    for (const pid of pids) signal(pid, 'SIGCONT')
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it was ended meanwhile: that is what a watch may do
  }
}

async function runnerOf({ platform, name, random }: Stage): Promise<{ runner: number; watchdog: number }> {
  const { instances } = await platform.until(name, (d) => d.instances.some(({ pid }) => pid !== undefined))
  const runner = random.pick(instances.flatMap(({ pid }) => pid ?? []))
  const watchdog = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${runner}/status`, 'utf8'))![1])
  return { runner, watchdog }
}
