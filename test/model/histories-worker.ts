/**
 * HistoriesWorker: a thread that runs histories. It is a thread because `node:test` follows every promise of its
 * tests, which costs several times as much as a history.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { liveSoundly } from './histories.ts'

parentPort!.postMessage(await liveSoundly((workerData as { histories: number }).histories))
