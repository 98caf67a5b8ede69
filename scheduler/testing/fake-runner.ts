/**
 * FakeRunner: a process that speaks a runner's side of the control protocol over NATS and processes nothing. The
 * tests start it as a task; the function's `env` sets its behaviour. Test equipment.
 * @module
 */
import { connectBus, subjects } from '../../infra/bus/index.ts'
import { decodeCommand } from '../../infra/control/index.ts'
import type { Assignment } from '../../infra/control/messages/assignment.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'

const env = (name: string): string => process.env[`CONCORD_${name}`] ?? ''
const [taskId, namespace] = [env('TASK_ID'), env('NAMESPACE')]
const nc = await connectBus({
  name: taskId,
  url: env('NATS_URL'),
  user: env('NATS_USER'),
  password: env('NATS_PASSWORD'),
})
let assignment: Assignment | undefined
let recordsIn = 0

function beat(state: Heartbeat['state'], exit?: Heartbeat['exit']): void {
  recordsIn += assignment === undefined ? 0 : 1
  const heartbeat: Heartbeat = {
    schema: 1,
    kind: 'runner',
    id: taskId,
    incarnation: String(process.pid),
    generation: assignment?.generation ?? 0,
    sentAtMs: Date.now(),
    state,
    pid: process.pid,
    rssBytes: 1,
    cpuSeconds: 0,
    instances: (assignment?.instances ?? []).map(({ id, function: name, index, epoch, partitions }) => ({
      ...{ id, function: name, index, epoch, partitions }, // the last is for the tests
      version: assignment?.functions[name]?.version ?? 0,
      state: 'running',
      recordsIn,
      recordsOut: 0,
      errors: 0,
      timersFired: 0,
      batches: 0,
      stateEntries: 0,
      stateBytes: 0,
      heapBytes: 0,
      cpuSeconds: 0,
      outputs: [{ stream: 'out', consumer: '$server', sent: 7, acked: 7, dropped: {}, unaccounted: 0 }],
      inputs: [],
    })),
    ...(exit === undefined ? {} : { exit }),
  }
  nc.publish(subjects.heartbeatSubject(namespace, taskId), JSON.stringify(heartbeat))
}

async function end(code: number, reason: string, message: string): Promise<never> {
  beat('stopped', { code, reason, message })
  await nc.flush()
  process.exit(code)
}

nc.subscribe(subjects.taskSubject(namespace, taskId), {
  callback(_error, message) {
    const command = decodeCommand(message.data)
    if (command?.kind === 'assign' && command.assignment.generation > (assignment?.generation ?? 0)) {
      assignment = command.assignment
    }
    message.respond(JSON.stringify({ ok: true }))
    const fail = Object.values(assignment?.functions ?? {})[0]?.manifest.env['FAIL']
    if (fail !== undefined) void end(10, 'functionFailed', fail)
    else beat('running')
  },
})
process.once('SIGTERM', () => void end(0, 'drained', 'drained as asked'))
beat('starting')
setInterval(() => beat('running'), 100)
