/**
 * SimWorker: an instance at work, as far as its canary is concerned: the real `Canaries`, `Succession` and `Split`, and the count of what
 * would go with an open format.
 * @module
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { ContainedRecords } from '../../../infra/bus/receiving/contained.ts'
import type { Clock } from '../../../infra/clock.ts'
import type { FunctionAssignment } from '../../../infra/control/messages/assignment.ts'
import { Canaries } from '../../../runner/canary/canaries.ts'
import type { Worker } from '../../../runner/instance/worker.ts'
import type { BatchResult, InputFrame } from '../../../runner/isolate/index.ts'
import type { Running } from '../../../runner/succession/change-over.ts'
import { tellOpen } from '../../../runner/succession/open-records.ts'
import { Succession } from '../../../runner/succession/succession.ts'
import type { StateFormat } from '../../../sdk/function.ts'
import type { SimIsolate } from './isolate.ts'

const id = 'f-0'

export class SimWorker {
  readonly succession: Succession
  readonly contained: ContainedRecords
  readonly #canaries: Canaries

  /** @param make Makes a canary's isolate. */
  constructor(
    isolate: SimIsolate,
    assignment: FunctionAssignment,
    contained: ContainedRecords,
    clock: Clock,
    make: (fn: FunctionAssignment) => Promise<SimIsolate>,
  ) {
    this.contained = contained
    const none = (): void => undefined
    this.succession = new Succession(
      { isolate: isolate.asIsolate, assignment },
      {
        ...{ clock, interrupt: none, wake: none, onStreams: none, onPut: none },
        onFormat: (format) => contained.useFormat(format),
        runNext: async () => ({ failed: false }),
        destroy: async ({ isolate }) => isolate.kill(),
      },
    )
    this.#canaries = new Canaries({
      ...{ clock, onChange: none, log: none },
      make: async (fn) => (await make(fn)).asIsolate,
      compare: () => assert.fail('nothing is compared'),
    })
    const isAwaited = assignment.canary !== undefined
    if (!isAwaited) isolate.state.use(isolate.format, true) // begin-state.ts
    contained.useFormat(isAwaited ? undefined : isolate.format) // consumer.ts
  }

  get running(): Running {
    return this.succession.running
  }

  /** Records that are held against the canary at its step. */
  get regressions(): number {
    return this.#canaries.report(id).canary?.evidence.canary.errors ?? 0
  }

  want(fn: FunctionAssignment): void {
    const { succession } = this
    const worker = {
      report: () => ({ state: 'running' }),
      sampler: { next: async () => undefined },
      succession,
      get running() {
        return succession.running
      },
    }
    this.#canaries.want(id, worker as unknown as Worker, fn)
  }

  /** What a batch came to. */
  tell(frames: readonly InputFrame[], result: BatchResult): void {
    const { contained } = this
    const consumer = {
      addOpen: (_: unknown, format: number, records: number) => contained.addOpen(format, records),
      useFormat: (format: StateFormat) => contained.useFormat(format),
    }
    const taken = frames.map((frame) => ({ ...frame, finished: 0 }))
    tellOpen(consumer, this.running.isolate.format, taken as never, result)
  }

  /** What waits for the time between two batches. @returns Whether it has come about; `lost`: the instance has ended over it. */
  async advance(what: Promise<unknown> = Promise.resolve()): Promise<boolean | 'lost'> {
    const said = what.then(
      () => true,
      () => false,
    )
    try {
      for (let i = 0; i < 3; i++) {
        await this.succession.advance()
        await setImmediate()
      }
    } catch {
      return 'lost'
    }
    return await said
  }

  end(): void {
    this.#canaries.forget(id)
    this.succession.end('ends')
  }
}
