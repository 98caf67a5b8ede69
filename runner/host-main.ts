/**
 * The process under the watchdog: connects, makes the Host, and passes signals on.
 *
 *   M1. From its first line on a signal to stop ends it with `drained`, whatever it is at: connecting, it has nothing yet
 *       that must be drained; later the Host sees to it. Hence what takes long to load is loaded behind that line.
 * @module
 */
import { flushCompileCache } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { endingOf, WatchdogPipe } from './process/ending.ts'
import type { RunnerEnvironment } from './process/environment.ts'

setFlagsFromString('--max-semi-space-size=0') // what main.ts may have said is for this heap, not for the isolates'
const pipe = new WatchdogPipe()
let stop = (reason: string): void => pipe.end(endingOf('drained', reason))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(`stopped by ${signal}`))
pipe.loads()

// The watchdog holds our stdin: its end is ours.
process.stdin.on('end', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.on('error', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.resume()

for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) =>
    pipe.end(endingOf('crashed', error instanceof Error ? (error.stack ?? error.message) : String(error))),
  )
}

const [{ connectBus, connectWire }, { systemClock }, { readEnvironment }, { Host }, { runtimeBundle }] =
  await Promise.all([
    import('../infra/bus/index.ts'),
    import('../infra/clock.ts'),
    import('./process/environment.ts'),
    import('./host/host.ts'),
    import('./isolate/index.ts'),
  ])
void runtimeBundle().catch(() => undefined) // made by the time an assignment has come, which reports what is wrong

let environment: RunnerEnvironment | undefined
try {
  environment = readEnvironment(process.env)
} catch (error) {
  pipe.end(endingOf('configuration', (error as Error).message))
}
if (environment !== undefined) {
  pipe.beats()
  await run(environment)
}
pipe.loads()
flushCompileCache() // it is written at an exit else, and ours is SIGKILL; half a second of a busy disk the first time
pipe.beats()

async function run(env: RunnerEnvironment): Promise<void> {
  try {
    let warn = (message: string): void => process.emitWarning(message)
    const bus = { ...env.nats, onTrouble: (message: string) => warn(message) }
    const nc = await connectBus({ ...bus, name: env.taskId })
    const wire = await connectWire({ ...bus, name: `${env.taskId} records` })
    const host = new Host({
      nc,
      wire,
      environment: env,
      clock: systemClock,
      end: (ending) => pipe.end(ending),
    })
    warn = (message) => host.warn(message)
    stop = (reason) => void host.stop(reason)
  } catch (error) {
    pipe.end(endingOf('disconnected', (error as Error).message))
  }
}
