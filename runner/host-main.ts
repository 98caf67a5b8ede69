/**
 * The process under the watchdog: connects, makes the Host, and passes signals on.
 * @module
 */
import { flushCompileCache } from 'node:module'
import { connectBus } from '../infra/bus/index.ts'
import { systemClock } from '../infra/clock.ts'
import { endingOf, WatchdogPipe } from './ending.ts'
import { type RunnerEnvironment, readEnvironment } from './environment.ts'
import { Host } from './host.ts'
import { runtimeBundle } from './isolate/index.ts'

const pipe = new WatchdogPipe()
void runtimeBundle().catch(() => undefined) // made by the time an assignment has come, which reports what is wrong

// The watchdog holds our stdin: its end is ours.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.on('error', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.resume()

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) =>
    pipe.end(endingOf('crashed', error instanceof Error ? (error.stack ?? error.message) : String(error))),
  )
}

let environment: RunnerEnvironment | undefined
try {
  environment = readEnvironment(process.env)
} catch (error) {
  pipe.end(endingOf('configuration', (error as Error).message))
}
if (environment !== undefined) await run(environment)
flushCompileCache() // it is written at an exit else, and ours is SIGKILL

async function run(env: RunnerEnvironment): Promise<void> {
  try {
    const nc = await connectBus({ ...env.nats, name: env.taskId })
    const host = new Host({ nc, environment: env, clock: systemClock, end: (ending) => pipe.end(ending) })
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => void host.stop(`stopped by ${signal}`))
  } catch (error) {
    pipe.end(endingOf('disconnected', (error as Error).message))
  }
}
