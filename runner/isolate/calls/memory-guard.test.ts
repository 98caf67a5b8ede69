import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../../infra/clock.ts'
import { callLimits } from './call-limits.ts'

const mib = 2 ** 20

/** What is said of a call that takes its process from `before` to `after`. */
function saidOf(sizes: {
  readonly before: number
  readonly after: number
  readonly most: number
}): string | undefined {
  const clock = new ManualClock()
  let bytes = sizes.before * mib
  let said: string | undefined
  const call = callLimits(
    {
      ...{ clock, sliceMs: undefined, heapMib: 64, doing: () => 'a record', askToYield: () => undefined },
      askForRecords: () => undefined,
      memory: { bytesMax: sizes.most * mib, bytes: () => bytes },
      onOutgrown: (how) => {
        said = how
      },
    },
    1_000,
  )
  call.slow?.()
  bytes = sizes.after * mib
  clock.advance(20)
  call.over()
  return said
}

test('a call that exceeds its heap ends with a message about limits.heapMib, whatever memMib is', () => {
  assert.equal(
    saidOf({ before: 98, after: 181, most: 1024 }),
    'a record took 83 MiB more, beyond the 64 of heap that it may have (limits.heapMib); its process then held 181 MiB of 1024 (resources.memMib)',
  )
  assert.equal(saidOf({ before: 98, after: 160, most: 1024 }), undefined)
})

test('a call that fills its process ends with a message about resources.memMib, only if it is what grows (MG2)', () => {
  assert.equal(
    saidOf({ before: 98, after: 225, most: 256 }),
    'a record took its process to 225 MiB; a call that grows is ended at 204, 80 % of the 256 that it may have (resources.memMib)',
  )
  assert.equal(saidOf({ before: 210, after: 225, most: 256 }), undefined)
})
