/**
 * Freeze: how long a function is away when its runner freezes: the runner is stopped (SIGSTOP) while records come in, its
 * watchdog sees it and ends it, and another takes over.
 */
import { Platform } from '../system/platform.ts'
import type { Benchmark } from './suite/benchmark.ts'

const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'echo', istreams: { 'echo-in': groupBy }, ostreams: ['echo-out'] },
  processRecord(ctx, record) { ctx.produceRecord('echo-out', record.key, record.value) },
})
`
const recordEveryMs = 10

export const freeze: Benchmark = {
  name: 'freeze',
  measures:
    'milliseconds from the moment at which a runner freezes until its end, and until its successor has put out a record',
  measuresNot: 'load: a hundred records a second come in; a cluster (all is on this machine).',
  figures: {
    served: { title: 'served again', unit: 'ms' },
    ended: { title: 'ended', unit: 'ms', compared: false },
  },
  subject: 'Concord',
  references: {},
  async open() {
    const ends: (() => unknown)[] = []
    const platform = await Platform.start({ after: (end: () => unknown) => void ends.unshift(end) } as never)
    await platform.deploy('echo', source)
    const { client } = platform
    const done = new AbortController()
    let seenMs = 0
    let wake = (): void => undefined
    const follow = async (): Promise<void> => {
      for await (const line of client.follow('echo-out', { signal: done.signal })) {
        if ('event' in line) continue
        seenMs = Date.now()
        wake()
      }
    }
    const feed = async (): Promise<void> => {
      while (!done.signal.aborted) {
        await client.produce('echo-in', [{ key: 'k', value: String(Date.now()) }])
        await new Promise((resolve) => setTimeout(resolve, recordEveryMs))
      }
    }
    const running = Promise.allSettled([follow(), feed()])
    ends.unshift(async () => {
      done.abort()
      await running
    })
    return {
      measure: async () => {
        const before = await platform.until(
          'echo',
          (d) => d.state === 'running' && seenMs > Date.now() - 1000,
        )
        const frozenMs = Date.now()
        process.kill(before.instances[0]!.pid!, 'SIGSTOP')
        const after = await platform.until(
          'echo',
          (d) => d.instances[0]!.restarts > before.instances[0]!.restarts,
        )
        const endedMs = after.instances[0]!.lastExit!.atMs
        while (seenMs < endedMs) {
          const { promise, resolve } = Promise.withResolvers<void>()
          wake = resolve
          await promise
        }
        return { values: { served: seenMs - frozenMs, ended: endedMs - frozenMs } }
      },
      close: async () => {
        for (const end of ends) await end()
      },
    }
  },
}
