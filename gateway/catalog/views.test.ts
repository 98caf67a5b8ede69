import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { noEvidence } from '../../sdk/versions/canary.ts'
import type { LiveFunction } from './catalog.ts'
import { Heartbeats } from './heartbeats.ts'
import { functionDetail, functionSummary } from './views.ts'

type State = InstanceStatus['state']

const noAccounts = { outputs: [], stateLost: new Map() }

function heard(heartbeats: Heartbeats, more: object): void {
  const beat = {
    ...{ schema: 1, kind: 'runner', incarnation: 'i', generation: 1, sentAtMs: 1, state: 'running' },
    ...{ pid: 1, rssBytes: 1, cpuSeconds: 0, instances: [], ...more },
  }
  heartbeats.take(Buffer.from(JSON.stringify(beat)))
}

function live(
  wanted: number,
  states: readonly (State | [State, version: number])[],
  deleted = false,
): LiveFunction {
  const instances = states.map((entry, index) => {
    const [state, version] = typeof entry === 'string' ? [entry, 2] : entry
    return {
      id: `f-${index}`,
      index,
      epoch: 1,
      version,
      state,
      generation: 1,
      generationSeen: 1,
      restarts: 0,
      since: 0,
    }
  })
  const manifest = manifestSchema.parse({ name: 'f' })
  return {
    name: 'f',
    document: {
      schema: 1,
      version: 2,
      instances: wanted,
      createdAtMs: 0,
      ...(deleted ? { deleted: true } : {}),
    },
    version: { schema: 1, version: 2, bundleSha256: '', bundleBytes: 0, manifest, deployedAtMs: 0 },
    status: {
      schema: 1,
      function: 'f',
      version: 2,
      instances,
      ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
    },
  }
}

/** v1 was seen to work. */
function afterOne(fn: LiveFunction): LiveFunction {
  return { ...fn, document: { ...fn.document, good: 1 } }
}

/** As a gateway sees it that has listened for a while. */
const summary = (function_: LiveFunction) => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  clock.advance(30_000)
  return functionSummary(function_, heartbeats)
}

test("functionDetail says how old a checkpoint is by its runner's clock, and never less than nothing", () => {
  const clock = new ManualClock(3_600_000)
  const heartbeats = new Heartbeats(clock)
  const known = live(1, ['running'])
  const instances = known.status!.instances.map((one) => ({ ...one, taskId: 't' }))
  const withTask = { ...known, status: { ...known.status!, instances } }
  const ageOf = (sentAtMs: number, atMs: number) => {
    const sizes = { storedBytes: 1, writtenBytes: 1, writtenBytesTotal: 1, pauseMs: 0, pauseMaxMs: 0 }
    const counts = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
    const report = {
      ...{
        id: 'f-0',
        function: 'f',
        index: 0,
        epoch: 1,
        version: 2,
        state: 'running',
        inputs: [],
        outputs: [],
      },
      ...{ ...counts, stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 },
    }
    const checkpoint = { ...sizes, made: 1, failed: 0, atMs }
    heard(heartbeats, { id: 't', sentAtMs, instances: [{ ...report, checkpoint }] })
    return functionDetail(withTask, heartbeats, noAccounts).instances[0]?.checkpoint?.ageMs
  }
  assert.equal(ageOf(10_000, 8_000), 2_000)
  assert.equal(ageOf(10_000, 3_610_000), 0, 'the clock was set back')
})

test('functionDetail says which instances a canary waits for, and why', () => {
  const fn = live(3, ['running', 'waiting', 'running'])
  const manifest = manifestSchema.parse({ name: 'f', rollout: { canary: {} } })
  const at = { version: 2, step: 0, sinceMs: 0, passed: [] }
  const instances = fn.status!.instances.map((one, index) => ({
    ...{ ...one, version: 1 },
    ...(index === 1 ? { why: 'no offer has 4 cpus' } : { taskId: `t${index}` }),
  }))
  const withCanary: LiveFunction = {
    ...fn,
    document: { ...fn.document, good: 1, canary: at },
    version: { ...fn.version, manifest },
    status: { ...fn.status!, instances },
  }
  const canary = { version: 2, step: 0, state: 'working', evidence: noEvidence() }
  const beatOf = (index: number) => ({
    instances: [
      { id: `f-${index}`, epoch: 1, ...(index === 0 && { canary }), inputs: [], outputs: [], metrics: [] },
    ],
  })
  const heartbeats = {
    of: (id: string) => beatOf(Number(id.slice(1))),
    confirms: () => true,
  } as unknown as Heartbeats
  assert.deepEqual(functionDetail(withCanary, heartbeats, noAccounts).canary?.waitsFor, [
    'f-1: waiting, no offer has 4 cpus',
    'f-2: it has not been told of this step yet, or has not said so',
  ])
})

const table: readonly [state: string, running: number, function_: LiveFunction][] = [
  ['starting', 0, { ...live(1, []), status: undefined }],
  ['starting', 0, live(1, ['launching'])],
  ['waiting', 0, live(1, ['waiting'])],
  ['running', 2, live(2, ['running', 'running'])],
  ['degraded', 1, live(2, ['running', 'waiting'])],
  ['degraded', 1, live(2, ['running', 'backingOff'])],
  ['starting', 1, live(2, ['running', 'starting'])],
  ['crashLooping', 1, live(2, ['running', 'crashLooping'])],
  ['starting', 0, live(1, [['running', 1]])], // the version before still runs
  ['swapping', 2, afterOne(live(2, [['running', 1], ['running', 1], 'starting', 'waiting']))], // others take over from it
  ['swapping', 2, afterOne(live(2, [['running', 1], ['running', 1], 'running', 'starting']))],
  ['degraded', 1, afterOne(live(2, [['running', 1], 'backingOff']))],
  ['stopped', 0, live(0, [])],
  ['deleting', 1, live(1, ['running'], true)],
]

for (const [state, running, function_] of table) {
  const states = function_.status?.instances.map((i) => `${i.state} v${i.version}`).join(', ') ?? 'unknown'
  test(`functionSummary calls ${function_.document.instances} wanted, ${states || 'none'}: ${state}`, () => {
    const found = summary(function_)
    assert.deepEqual([found.state, found.instancesRunning], [state, running])
  })
}

test('functionSummary of a new gateway calls no instance running that it has not heard', () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  const function_ = live(1, ['running'])
  const taskId = 'task-1'
  const instances = function_.status!.instances.map((instance) => ({ ...instance, taskId }))
  const known = { ...function_, status: { ...function_.status!, instances } }
  const found = () => {
    const { state, instancesRunning } = functionSummary(known, heartbeats)
    return [state, instancesRunning, functionDetail(known, heartbeats, noAccounts).instances[0]?.state]
  }
  assert.deepEqual(found(), ['starting', 0, 'starting'])
  heard(heartbeats, { id: taskId })
  assert.deepEqual(found(), ['running', 1, 'running'])
  clock.advance(60_000) // silent since: the scheduler judges that, not the gateway
  assert.deepEqual(found(), ['running', 1, 'running'])
})

test('Heartbeats waits once for the first heartbeats of the requested processes', async () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  const told: string[] = []
  const ask = (...ids: string[]) => heartbeats.firstBeats(ids).then(() => told.push(ids.join()))
  const both = ask('task-1', 'task-2')
  const never = ask('task-3')
  await ask()
  const beat = (id: string) => heard(heartbeats, { id })
  beat('task-1')
  assert.deepEqual(told, [''])
  beat('task-2')
  await both
  assert.deepEqual(told, ['', 'task-1,task-2'])
  clock.advance(2_500)
  await never
  await ask('task-4')
  assert.equal(heartbeats.silentMs('task-1'), 2_500)
})

test('Heartbeats forgets silent processes, and ignores other messages', () => {
  const clock = new ManualClock()
  const heartbeats = new Heartbeats(clock)
  heard(heartbeats, { id: 'gateway-1', kind: 'gateway' })
  heard(heartbeats, { id: 'task-1' })
  const bad = [
    '',
    '{',
    'null',
    '{"schema":2,"id":"x","instances":[]}',
    '{"schema":1,"id":"x","instances":[null]}',
  ]
  for (const text of bad) assert.equal(heartbeats.take(Buffer.from(text)), undefined)
  assert.deepEqual([heartbeats.of('task-1')?.kind, heartbeats.ofClients().length], ['runner', 1])
  for (let ms = 0; ms <= 30_000; ms += 2_000) {
    clock.advance(2_000)
    heard(heartbeats, { id: 'task-2' })
  }
  assert.deepEqual([heartbeats.of('task-1'), heartbeats.ofClients().length], [undefined, 0])
})
