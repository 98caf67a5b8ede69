import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyRegistry } from '../infra/metrics.ts'
import { World } from './core/testing/world.ts'
import { SchedulerMetrics } from './metrics.ts'

const keyed = { istreams: { in: { grouping: 'groupBy' as const } }, resources: { cpus: 0.5, memMib: 100 } }

/** A world whose scheduler is measured. */
function measured(agents: number, quota = {}) {
  const world = new World(agents, quota)
  const registry = emptyRegistry({ process: 'scheduler', namespace: 'ns' })
  const metrics = new SchedulerMetrics(registry, () => world.state)
  /** The samples of a metric, by what is in its labels. */
  const shown = async (name: string): Promise<Record<string, number>> => {
    metrics.count({ kind: 'tick' }, world.actions.splice(0))
    const { values } = await registry.getSingleMetric(`concord_scheduler_${name}`)!.get()
    return Object.fromEntries(
      values.map(({ labels, value }) => [Object.values(labels).join(' '), value] as const),
    )
  }
  return { world, shown }
}

test('SchedulerMetrics counts the ends of instances by function, reason and verdict, until the function is removed (SE1)', async () => {
  const { world, shown } = measured(3)
  world.deploy('f', { ...keyed, instances: 2 })
  world.deploy('g', { ...keyed, instances: 1 })
  world.settle(8)
  assert.deepEqual(await shown('instance_ends_total'), {})
  const taskOf = (name: string) =>
    [...world.seats.values()].find((seat) => seat.function === name)?.taskId ?? assert.fail(`no ${name}`)
  for (const exitCode of [10, 137, 77, 78]) {
    world.exit(taskOf('f'), exitCode)
    world.deliverUpdate()
    world.settle(8) // it worked: it returns at once
  }
  const ofG = taskOf('g')
  world.runners.delete(ofG)
  world.updates.push({ taskId: ofG, condition: 'lost', message: 'its agent is gone', receipt: 'r' })
  world.deliverUpdate()
  const failures = { 'f functionFailed failed': 1, 'f signal 9 failed': 1, 'f other failed': 2 }
  assert.deepEqual(await shown('instance_ends_total'), { ...failures, 'g lost nobodysFault': 1 })
  world.settle(8)
  world.functions.set('f', { ...world.functions.get('f')!, deleted: true })
  world.settle(20)
  assert.equal(world.functions.has('f'), false)
  assert.deepEqual(await shown('instance_ends_total'), { 'g lost nobodysFault': 1 })
})

test('SchedulerMetrics shows how many instances are wanted and how many run, also if none does', async () => {
  const { world, shown } = measured(0)
  world.connect()
  world.deploy('f', { ...keyed, instances: 2 })
  assert.deepEqual(await shown('instances'), { 'f running': 0, 'f waiting': 2 })
  assert.deepEqual(await shown('instances_wanted'), { f: 2 })
  world.functions.set('f', { ...world.functions.get('f')!, deleted: true })
  world.publish()
  assert.deepEqual(await shown('instances_wanted'), { f: 0 })
})

test('SchedulerMetrics shows what the namespace uses of its quota, and only what is limited as allowed', async () => {
  const { world, shown } = measured(3, { cpus: 1.2, memMib: 4096 })
  world.deploy('f', { ...keyed, instances: 3 })
  world.settle(8)
  const { 'disk_bytes used': diskBytes, ...others } = await shown('quota')
  assert.ok(diskBytes! > 0)
  assert.deepEqual(others, {
    ...{ 'cpus used': 1, 'mem_bytes used': 200 * 2 ** 20 },
    ...{ 'cpus allowed': 1.2, 'mem_bytes allowed': 4096 * 2 ** 20 },
  })
})
