/**
 * Readers: who reads a stream, and how much of it waits for each: functions, and readers over HTTP that the stream waits for.
 * @module
 */
import { holdersOf } from '../../infra/control/index.ts'
import type { StreamReader } from '../../sdk/api/readers.ts'
import type { AccountsOf } from './accounts.ts'
import type { CatalogView, Stream } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf } from './ledger.ts'
import { functionSummary } from './views.ts'

export async function readersOf(
  { name, consumers, followers }: Stream,
  { functions }: CatalogView,
  heartbeats: Heartbeats,
  accountsOf: AccountsOf,
): Promise<StreamReader[]> {
  const rows: StreamReader[] = []
  for (const reader of consumers) {
    const live = functions.get(reader)!
    const { outputs, stateLost } = await accountsOf(live)
    const { instancesRunning, instancesWanted } = functionSummary(live, heartbeats)
    const { backPressure } = live.version.manifest.istreams[name]!
    const [account] = ledgerOf(reader, [name], outputs, stateLost)
    rows.push({ reader, backPressure, instancesRunning, instancesWanted, ...account! })
  }
  const holders = holdersOf(followers)
  if (holders.length === 0) return rows
  const { outputs } = await accountsOf()
  for (const { name: reader, backPressure } of holders)
    rows.push({ reader, backPressure, ...ledgerOf(reader, [name], outputs)[0]! })
  return rows
}
