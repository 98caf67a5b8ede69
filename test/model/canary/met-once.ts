/**
 * Histories in which faults were found that are mended, each as short as it can be.
 * @module
 */
import type { History, Step } from './histories.ts'

const fates = { old: 'ok', canary: 'ok' } as const
const begins = { kind: 'canary', percent: 10, own: false, isSlow: false } as const
const hasAll = { ...begins, percent: 100 } as const
const batch: Step = { kind: 'batch', specs: [{ key: 'key-0', fates, timer: undefined }] }
const empty: Step = { kind: 'batch', specs: [] }

const steps: Readonly<Record<string, History['steps']>> = {
  'the old version has ended when it is to have the state back': [
    hasAll,
    batch,
    { kind: 'kill', role: 'old' },
    { kind: 'takeAway' },
    empty,
  ],
  'what is to take over has ended before': [
    begins,
    batch,
    { kind: 'meet', role: 'old', mishap: 'refuses' },
    { kind: 'promote' },
  ],
  'who gives the state to the canary ends, and cannot be stopped': [
    hasAll,
    { kind: 'meet', role: 'old', mishap: 'does not stop' },
    batch,
    batch,
  ],
  'a canary is promoted while it is made': [
    hasAll,
    empty,
    { kind: 'takeAway' },
    hasAll,
    { kind: 'promote' },
    batch,
  ],
  'a canary is taken away while its instance starts': [
    { ...hasAll, own: true },
    batch,
    { kind: 'restart' },
    { kind: 'takeAway' },
    { kind: 'started' },
  ],
}

export const metOnce = Object.entries(steps).map(([what, each]) => ({
  what,
  history: { policy: 'fail' as const, steps: each },
}))
