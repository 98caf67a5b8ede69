/**
 * Testing: a kit whose records run what a test says.
 * @module
 */
import type { Context } from '../../index.ts'
import { type TestKit, testKit } from '../../testkit/index.ts'

export interface RunningKit {
  readonly kit: TestKit
  /** Runs a call in a callback of its own, of partition 0. @throws What the callback throws. */
  run<T>(call: (ctx: Context) => T): T
}

export function kitOf(): RunningKit {
  let body: (ctx: Context) => void = () => undefined
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: 'groupBy' }, onError: 'skip' },
    processRecord: (ctx) => body(ctx),
  })
  const run = <T>(call: (ctx: Context) => T): T => {
    let result: { value: T } | undefined
    body = (ctx) => {
      result = { value: call(ctx) }
    }
    const failures = kit.errors().length
    kit.send('in', 'k', '', { partition: 0 })
    const error = kit.errors()[failures]
    if (error !== undefined) throw error.error
    return result!.value
  }
  return { kit, run }
}
