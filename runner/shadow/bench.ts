/**
 * Bench of a shadow: what the version at work pays for one, as wall time of its calls, in turns within one run; and how many records
 * a second are compared. What it does not measure: NATS, and a machine without a core to spare.
 *
 *   node --no-node-snapshot runner/shadow/bench.ts [rounds] [workMsPerSecond]
 * @module
 */
import { giveBackMemory } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { shadowSchema } from '../../sdk/manifest/manifest.ts'
import { type Isolate, SingleIsolate } from '../isolate/index.ts'
import { nowMs } from '../isolate/testing/harness.ts'
import { roomOf } from '../process/test-memory.ts'
import { processMs } from '../usage/usage.ts'
import { frames, isolateOf, median, table } from './bench-versions.ts'
import { Findings } from './findings.ts'
import { Mirror } from './mirror.ts'
import { Shadow } from './shadow.ts'
import { Shadowed } from './shadowed.ts'

const rounds = Number(process.argv[2] ?? 15)
const roundMs = 300

/** Time of a record, in ns. */
async function measure(isolate: Isolate, ms: number): Promise<number> {
  let records = 0
  const beganMs = performance.now()
  for (let at = 0; performance.now() < beganMs + ms; at = (at + 4) % (frames.length - 4)) {
    const result = await isolate.run(frames.slice(at, at + 4), nowMs)
    if (result.fatal !== undefined) throw result.fatal
    for (const { frame } of result.outputs()) giveBackMemory(frame)
    records += result.records
  }
  return ((performance.now() - beganMs) * 1e6) / records
}

const alone = await SingleIsolate.create(isolateOf(1))
const live = await SingleIsolate.create(isolateOf(1))
const findings = new Findings({ listedMax: 100, list: () => true })
const shadow = new Shadow(live, {
  ...{ clock: systemClock, findings, processMs, outputs: () => table },
  setting: 'rollout.shadow',
  rules: shadowSchema.parse({ workMsPerSecond: Number(process.argv[3] ?? 250) }),
  memory: roomOf(),
  make: (seed) => Mirror.create({ ...isolateOf(2), seed }, table, findings),
  onEnded: (why) => console.error(why),
})
await shadow.begin()
const shadowed = new Shadowed(live, shadow, () => performance.now())
await measure(alone, 500)
await measure(shadowed, 500)
const costs: number[] = []
const ratios: number[] = []
let comparedMs = 0
const before = findings.compared
for (let round = 0; round < rounds; round++) {
  const plain = await measure(alone, roundMs)
  costs.push(plain)
  comparedMs -= performance.now()
  ratios.push((await measure(shadowed, roundMs)) / plain)
  comparedMs += performance.now()
}
const { records, different } = findings.evidence()
const compared = findings.compared - before
console.log(
  `${median(costs).toFixed(0)} ns a record alone, ${((median(ratios) - 1) * 100).toFixed(0)} % more with a shadow; ` +
    `${Math.round(compared / (comparedMs / 1000))} records a second compared while it worked, ${different} of ${findings.compared} differ, ${records} went by`,
)
process.kill(process.pid, 'SIGKILL')
