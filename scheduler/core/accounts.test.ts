import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ground, withRow } from '../../infra/control/index.ts'
import type { AllowanceNotice, OutputLedger, ReceivedRow } from '../../infra/control/messages/accounts.ts'
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { BackPressure } from '../../sdk/index.ts'
import { addAccounts, type LastWords } from './accounts.ts'
import { noAccounts } from './state/state.ts'
import { type Runner, World } from './testing/world.ts'
import { heartbeatOf, reportOf } from './testing/world-heartbeats.ts'

const row: OutputLedger = {
  stream: 'out',
  consumer: 'g',
  sent: 10,
  acked: 7,
  dropped: { late: 1 },
  unaccounted: 1,
}

/** A function at work, and its only runner. */
function running(): { world: World; runner: Runner; taskId: string } {
  const world = new World()
  world.functions.set('g', { schema: 1, version: 1, instances: 0, createdAtMs: 0 })
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, ostreams: ['out'], restarts: 1_000 })
  world.settle(8)
  const runner = [...world.runners.values()][0] ?? assert.fail('it runs')
  return { world, runner, taskId: runner.document.taskId }
}

function beat(world: World, runner: Runner, said: Partial<InstanceReport>): void {
  const base = heartbeatOf(runner.document.taskId, runner.generation, world.nowMs)
  const [instance] = runner.instances.values()
  const report = { ...reportOf(instance ?? assert.fail('it has an instance'), 'running'), ...said }
  world.feed({ kind: 'heartbeat', heartbeat: { ...base, instances: [report] } })
}

function notice(runner: Runner, number: number, allowance: number, consumer = 'g'): AllowanceNotice {
  const [{ epoch } = assert.fail('it has an instance')] = [...runner.instances.values()]
  const rows = [{ stream: 'out', consumer, allowance }]
  return { ...{ schema: 1, taskId: runner.document.taskId, instance: 'f-0', epoch, number, rows } }
}

const endedOf = (world: World) => world.statuses.get('f')?.ended.outputs

test('addAccounts counts the allowance of a killed instance as unaccounted, from its report or a later notice (I7)', () => {
  const report = { recordsIn: 1, recordsOut: 1, errors: 0, outputs: [{ ...row, allowance: 19 }], notice: 4 }
  const unaccounted = (n?: AllowanceNotice) =>
    addAccounts(noAccounts, { report: report as unknown as InstanceReport, notice: n }).outputs.map((o) => [
      o.consumer,
      o.sent,
      o.unaccounted,
    ])
  const told = (number: number, consumer: string): AllowanceNotice => ({
    ...{ schema: 1, taskId: 't', instance: 'f-0', epoch: 1, number },
    rows: [{ stream: 'out', consumer, allowance: 30 }],
  })
  assert.deepEqual(unaccounted(), [['g', 26, 19]])
  assert.deepEqual(unaccounted(told(3, 'g')), [['g', 26, 19]], 'the report is newer')
  assert.deepEqual(unaccounted(told(5, 'g')), [['g', 37, 30]])
  assert.deepEqual(unaccounted(told(5, 'h')), [
    ['g', 26, 19],
    ['h', 30, 30],
  ])
  assert.deepEqual(addAccounts(noAccounts, { report: undefined, notice: told(1, 'g') }).outputs, [
    { stream: 'out', consumer: 'g', sent: 30, acked: 0, dropped: {}, unaccounted: 30, isAtMost: true },
  ])
})

const received = (sent: number, acked: number, partition = 0): ReceivedRow => ({
  ...{ name: 'f', index: 0, epoch: 1, stream: 'out', consumer: 'g', partition },
  ...{ sent, acked, dropped: { late: 2 } },
})
const topologyOf = (backPressure: BackPressure): Ground['topology'] =>
  new Map([['out', { consumers: [{ name: 'g', backPressure }] }]])
const reportWith = (said: Partial<OutputLedger>): InstanceReport => {
  const outputs = [{ ...row, allowance: 19, ...said }]
  return { recordsIn: 1, recordsOut: 1, errors: 0, outputs, notice: 4 } as unknown as InstanceReport
}

test('addAccounts uses the receivers of a killed instance if every partition that it sent to has one', () => {
  const both = [received(40, 40), received(60, 51, 1)]
  const of = (rows: readonly ReceivedRow[], isOver: boolean, parts = 2) => {
    const heard = rows.reduce<LastWords['received']>((known, each) => withRow(known, each, 0), undefined)
    const words = { report: reportWith({ parts }), received: heard }
    return addAccounts(noAccounts, words, { topology: topologyOf('block'), isOver }).outputs[0]
  }
  const exact = { stream: 'out', consumer: 'g', sent: 100, dropped: { late: 4 } }
  assert.deepEqual(of(both, false), { ...exact, acked: 90, unaccounted: 1 }, 'nine are in flight')
  assert.deepEqual(
    of(both, true),
    { ...exact, acked: 90, unaccounted: 10, isAtMost: true },
    'of which nothing was heard',
  )
  assert.deepEqual(of([...both, received(60, 60, 1)], true), { ...exact, acked: 99, unaccounted: 1 })
  const left = of([...both, received(51, 51, 1)], false)
  assert.deepEqual(left, { ...exact, acked: 90, unaccounted: 10 }, 'its owner has handed it over')
  assert.deepEqual(
    of(both, true, 3),
    { ...row, sent: 26, unaccounted: 19, isAtMost: true },
    'of a third one nobody knows',
  )
  assert.deepEqual(of(both, false, 3), { ...row, sent: 26 })
})

test('addAccounts leaves records in a spill queue to the queue', () => {
  const words = {
    report: reportWith({ parts: 1, own: { dropTail: 5 } }),
    received: withRow(undefined, received(40, 40), 0),
  }
  const account = addAccounts(noAccounts, words, { topology: topologyOf('dropTail'), isOver: true })
  const dropped = { dropTail: 5, late: 2 }
  assert.deepEqual(account.outputs, [
    { stream: 'out', consumer: 'g', sent: 63, acked: 44, dropped, unaccounted: 19 },
  ])
})

test('step asks the receivers of a killed instance every second, until none has records of it in hand', () => {
  const { world, runner, taskId } = running()
  world.deploy('g', { istreams: { out: { grouping: 'groupBy' } }, instances: 1 })
  world.settle(20)
  const other = [...world.runners.values()].find(({ document }) => document.taskId !== taskId)
  const receiver = other ?? assert.fail('its receiver runs')
  beat(world, runner, { outputs: [{ ...row, allowance: 19, parts: 3 }], notice: 1 })
  world.exit(taskId, 137)
  world.deliverUpdate()
  const asked = () => world.actions.filter(({ kind }) => kind === 'askReceivers').length
  assert.deepEqual(endedOf(world), [{ ...row, sent: 26 }], 'in flight, as long as more may be heard')
  assert.equal(asked(), 1)
  const [{ epoch } = assert.fail('it had an instance')] = [...runner.instances.values()]
  const partitions = 3
  const say = (acked: number) => {
    const rows = Array.from({ length: partitions }, (_, p) => ({
      ...received(10, acked, p),
      epoch,
      dropped: {},
    }))
    beat(world, receiver, { received: rows })
  }
  for (let second = 0; second < 20; second++) {
    say(9)
    world.tick(1_000)
  }
  assert.ok(asked() >= 15)
  const part = { stream: 'out', consumer: 'g', sent: partitions * 10, dropped: row.dropped }
  assert.deepEqual(endedOf(world), [{ ...part, acked: partitions * 9 - 1, unaccounted: 1 }])
  say(10)
  assert.deepEqual(endedOf(world), [{ ...part, acked: partitions * 10 - 1, unaccounted: 1 }])
  const before = asked()
  for (let second = 0; second < 20; second++) world.tick(1_000)
  assert.equal(asked(), before, 'and no more')
})

test('step keeps the newest of reports and notices of a runner that is killed', () => {
  const { world, runner, taskId } = running()
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.feed({ kind: 'allowance', notice: notice(runner, 2, 80) })
  world.feed({ kind: 'allowance', notice: { ...notice(runner, 3, 500), epoch: 99 } })
  world.feed({ kind: 'allowance', notice: { ...notice(runner, 3, 500), taskId: 'a-stranger' } })
  world.exit(taskId, 137)
  world.deliverUpdate()
  assert.deepEqual(endedOf(world), [{ ...row, sent: 87 }], 'in flight, as long as more may be heard')
  world.settle(10)
  assert.deepEqual(endedOf(world), [{ ...row, sent: 87, unaccounted: 80, isAtMost: true }], 'and once')
})

test('step applies an allowance notice that arrives after the end of its task', () => {
  const { world, runner, taskId } = running()
  const late = notice(runner, 2, 80)
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.exit(taskId, 137)
  world.deliverUpdate()
  assert.equal(endedOf(world)?.[0]?.sent, 26)
  world.feed({ kind: 'allowance', notice: late })
  assert.equal(endedOf(world)?.[0]?.sent, 87)
  world.restart()
  assert.equal(endedOf(world)?.[0]?.unaccounted, 80, 'and the next leader waits for nobody')
})

test('step takes the last report of a drained runner as exact', () => {
  const { world, runner, taskId } = running()
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.feed({ kind: 'allowance', notice: notice(runner, 2, 80) })
  beat(world, runner, { outputs: [{ ...row, acked: 10, unaccounted: 0 }], notice: 3, state: 'stopped' })
  world.exit(taskId, 0)
  world.deliverUpdate()
  assert.equal(endedOf(world)?.[0]?.unaccounted, 0)
})
