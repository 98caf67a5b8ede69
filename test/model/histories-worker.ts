/**
 * A thread that lives through histories. In a thread of its own, since `node:test` follows every promise of its tests, which costs
 * several times what a history does.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { liveSoundly } from './histories.ts'

parentPort!.postMessage(await liveSoundly((workerData as { histories: number }).histories))
