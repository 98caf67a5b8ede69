/**
 * Writer: what capture.test.ts runs on a thread of its own: a hundred transactions at each word, on slabs it was given.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { openArena } from './open-arena.ts'
import { Shadow } from './shadow.ts'
import { OwnSlabs } from './slabs.ts'
import { applyTo, transactionOf } from './testing.ts'

const { memories, slabBytes, shadow } = workerData as {
  memories: SharedArrayBuffer[]
  slabBytes: number
  shadow: SharedArrayBuffer
}
let index = 0
const slabs = new OwnSlabs({ slabBytes, make: () => memories[index]! })
for (; index < memories.length; index++) slabs.grow(0)
const arena = openArena(slabs, { keeper: new Shadow(shadow).of(0) })
parentPort!.postMessage('open')
parentPort!.on('message', (round: number) => {
  for (let i = 0; i < 100; i++) {
    applyTo(arena, transactionOf(round * 100 + i, 3000))
    arena.commit()
  }
  parentPort!.postMessage('done')
})
