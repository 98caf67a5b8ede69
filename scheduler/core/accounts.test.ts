import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllowanceNotice, InstanceReport, OutputLedger } from '../../infra/control/messages.ts'
import { addAccounts } from './accounts.ts'
import { noAccounts } from './state.ts'
import { type Runner, World } from './world.ts'
import { heartbeatOf, reportOf } from './world-heartbeats.ts'

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

test('addAccounts counts what a killed instance was allowed as unaccounted, by its report or a later notice (I7)', () => {
  const report = { recordsIn: 1, recordsOut: 1, errors: 0, outputs: [{ ...row, allowance: 19 }], notice: 4 }
  const unaccounted = (n?: AllowanceNotice) =>
    addAccounts(noAccounts, report as unknown as InstanceReport, n).outputs.map((o) => [
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
  assert.deepEqual(addAccounts(noAccounts, undefined, told(1, 'g')).outputs, [
    { stream: 'out', consumer: 'g', sent: 30, acked: 0, dropped: {}, unaccounted: 30 },
  ])
})

test('step keeps the newest of reports and notices of a runner that is killed', () => {
  const { world, runner, taskId } = running()
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.feed({ kind: 'allowance', notice: notice(runner, 2, 80) })
  world.feed({ kind: 'allowance', notice: { ...notice(runner, 3, 500), epoch: 99 } })
  world.feed({ kind: 'allowance', notice: { ...notice(runner, 3, 500), taskId: 'a-stranger' } })
  world.exit(taskId, 137)
  world.deliverUpdate()
  assert.deepEqual(endedOf(world), [{ ...row, sent: 87, unaccounted: 80 }])
  world.settle(10)
  assert.deepEqual(endedOf(world), [{ ...row, sent: 87, unaccounted: 80 }], 'and once')
})

test('step takes a notice that comes after the end of its task', () => {
  const { world, runner, taskId } = running()
  const late = notice(runner, 2, 80)
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.exit(taskId, 137)
  world.deliverUpdate()
  assert.equal(endedOf(world)?.[0]?.unaccounted, 19)
  world.feed({ kind: 'allowance', notice: late })
  assert.equal(endedOf(world)?.[0]?.unaccounted, 80)
})

test('step takes the last word of a runner that ends in order for exact', () => {
  const { world, runner, taskId } = running()
  beat(world, runner, { outputs: [{ ...row, allowance: 19 }], notice: 1 })
  world.feed({ kind: 'allowance', notice: notice(runner, 2, 80) })
  beat(world, runner, { outputs: [{ ...row, acked: 10, unaccounted: 0 }], notice: 3, state: 'stopped' })
  world.exit(taskId, 0)
  world.deliverUpdate()
  assert.equal(endedOf(world)?.[0]?.unaccounted, 0)
})
