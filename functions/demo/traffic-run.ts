/**
 * TrafficRun: one run of the demo: sends traffic to `lines`, and reads verdicts and alerts until all have come out or
 * nothing moves any more.
 *
 *   R1. The followers are connected before the first line is sent, so they see everything.
 *   R2. The figures come from the followed streams and from `fn inspect`; nothing is computed outside of the
 *       platform.
 *   R3. A poll of `fn inspect` that fails is ignored; without a successful one for `stallMs` the run ends.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError } from 'concord'
import type { ConcordClient } from 'concord/client'
import { type Accounts, isThrough, readAccounts } from './accounts.ts'
import { feed } from './feed.ts'
import { follow } from './follow.ts'
import type { Source } from './source.ts'
import { Tally } from './tally.ts'

const pollMs = 250
const stallMs = 60_000

/** How far a run has come. */
export interface Progress {
  readonly startedAtMs: number
  readonly tally: Tally
  accepted: number
  /** Whether every line was accepted; or the gateway accepted no more, and `refusal` says why. */
  fed: boolean
  refusal?: CodedError
  /** As of the latest poll; undefined before the first. */
  accounts: Accounts | undefined
}

export interface RunOptions {
  readonly rate: number | undefined
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

/** @throws If the signal aborts, or a follower breaks. */
export async function runTraffic(
  client: ConcordClient,
  source: Source,
  options: RunOptions,
): Promise<Progress> {
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const tally = new Tally()
  const onMissed = (records: number) => tally.addMissed(records)
  try {
    const followers = await Promise.all([
      follow(client, 'verdicts', { onRecord: (record) => tally.addVerdict(record), onMissed, signal }),
      follow(client, 'alerts', { onRecord: (record) => tally.addAlert(record), onMissed, signal }),
    ])
    const run: Progress = {
      startedAtMs: performance.now(),
      tally,
      accepted: 0,
      fed: false,
      accounts: undefined,
    }
    const through = Promise.all([
      feedAll(client, source, run, { ...options, signal }),
      watch(client, run, { ...options, signal }),
    ])
    await Promise.race([through, ...followers.map((follower) => follower.ended)])
    signal.throwIfAborted()
    return run
  } finally {
    over.abort()
  }
}

async function feedAll(
  client: ConcordClient,
  source: Source,
  run: Progress,
  { rate, signal }: RunOptions,
): Promise<void> {
  const onAccepted = (count: number) => {
    run.accepted += count
  }
  try {
    await feed(client, source, { rate, signal, onAccepted })
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    run.refusal = error
  }
  run.fed = true
}

/** Polls until everything has come out, or nothing has moved for `stallMs`. */
async function watch(
  client: ConcordClient,
  run: Progress,
  { signal, onProgress }: RunOptions,
): Promise<void> {
  let movedAtMs = performance.now()
  for (let before = ''; performance.now() - movedAtMs < stallMs; ) {
    run.accounts = (await poll(client, signal)) ?? run.accounts
    onProgress(run)
    const { accounts, accepted, tally } = run
    if (run.fed && accounts !== undefined && isThrough(accepted, accounts, tally)) return
    const now = JSON.stringify([accepted, accounts, tally.verdicts, tally.alerts])
    if (now !== before) movedAtMs = performance.now()
    before = now
    await sleep(pollMs, undefined, { signal })
  }
}

async function poll(client: ConcordClient, signal: AbortSignal): Promise<Accounts | undefined> {
  try {
    return await readAccounts(client, signal)
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}
