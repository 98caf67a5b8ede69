import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { Gauge, Registry } from '../../infra/metrics.ts'
import { SchedulerWatch } from './scheduler-watch.ts'

test('SchedulerWatch says for how long no scheduler has led or the store has not answered, and why that matters', async (t) => {
  const clock = new ManualClock()
  let isLed: () => Promise<boolean> = async () => true
  const looks: string[] = []
  const store = {
    isLed: (name: string) => {
      looks.push(name)
      return isLed()
    },
  }
  const leads = new Gauge({ name: 'leads', help: '-', registers: [new Registry()] })
  const watch = new SchedulerWatch({ store, clock, leads })
  t.after(() => watch.close())
  /** Lets the next look take place, and its answer arrive. */
  const later = async (ms: number) => {
    clock.advance(ms)
    await new Promise(setImmediate)
    const { noScheduler, noStore } = watch.remark
    const said = [noScheduler, noStore].map((text) => text?.split(':')[0])
    return [...said, (await leads.get()).values[0]?.value]
  }
  await watch.start()
  assert.deepEqual(await later(0), [undefined, undefined, 1])
  isLed = async () => false
  assert.deepEqual(await later(2_000), ['no scheduler has led for 0 s', undefined, 0])
  assert.deepEqual(await later(5_000), ['no scheduler has led for 5 s', undefined, 0])
  isLed = () => Promise.reject(new Error('ZooKeeper does not answer'))
  assert.deepEqual(await later(1_000), [undefined, 'the store has not answered this gateway for 0 s', 0])
  isLed = async () => true
  assert.deepEqual(await later(250), [undefined, undefined, 1])
  isLed = () => Promise.reject(new Error('it is this gateway that is cut off'))
  assert.deepEqual(await later(2_000), [undefined, 'the store has not answered this gateway for 0 s', 1])
  assert.deepEqual(new Set(looks), new Set(['scheduler']))
  watch.close()
  const looked = looks.length
  await later(10_000)
  assert.equal(looks.length, looked, 'closed')
})
