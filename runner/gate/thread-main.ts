/**
 * The thread of a judgement: gets a `ThreadTask`, judges, and sends the evidence.
 * @module
 */
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../infra/clock.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { Base } from '../checkpoint/bases.ts'
import { takeRuntimeText } from '../isolate/index.ts'
import { collectBeforeEnd } from '../process/collect-before-end.ts'
import { roomIn } from '../process/memory.ts'
import type { StateSource } from './begin.ts'
import { type GateSide, judge, resting } from './gate.ts'
import { framesOn } from './tape.ts'
import type { ReadAnswer, ThreadSide, ThreadTask, ThreadWord, ToThread } from './thread.ts'

const { runtime, ...task } = workerData as ThreadTask & { readonly runtime: string }
takeRuntimeText(runtime)
const { snapshot, live, next, limitMs, workShare } = task
const stop = new AbortController()
parentPort!.on('message', (word: ToThread) => {
  if (word === 'stop') stop.abort()
})
const memory = roomIn(task.memory)
const evidence = await judge({
  ...{ clock: systemClock, memory, limitMs, rest: resting(systemClock, workShare), stop: stop.signal },
  ...{ live: sideOf(live), next: sideOf(next) },
  tape: { read: (use) => use(framesOn(snapshot)) },
  state: stateOf(task),
}).finally(collectBeforeEnd)
say({ kind: 'judged', evidence })

function sideOf({ isolate, outputs }: ThreadSide): GateSide {
  return { isolate: { ...isolate, memory, log: () => undefined }, outputs }
}

/** Asks for one base at a time. */
function stateOf({ arenas, kept, lostMs }: ThreadTask): StateSource {
  const bases = new Map(kept)
  return {
    arenaOf: (stream, partition) => partition + (arenas[stream] ?? 0),
    has: (arena) => bases.has(arena),
    lostMs,
    basesOf: (arena) => bases.get(arena) ?? [],
    async readBase(arena: number, base: Base) {
      say({ kind: 'read', arena, base })
      const [read] = (await once(parentPort!, 'message', { signal: stop.signal })) as [ReadAnswer]
      if ('slabs' in read) return read.slabs
      bases.set(arena, read.bases)
      throw new CodedError(read.code, read.message)
    },
  }
}

function say(word: ThreadWord): void {
  parentPort!.postMessage(word)
}
