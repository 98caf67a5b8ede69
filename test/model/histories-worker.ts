/**
 * HistoriesWorker: a thread that runs histories: there is one for each CPU, and outside of `node:test`, which follows every promise
 * of its tests, a history costs a tenth less.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { liveSoundly } from './histories.ts'

parentPort!.postMessage(await liveSoundly((workerData as { histories: number }).histories))
