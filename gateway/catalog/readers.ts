/**
 * Readers: who reads a stream, and how much of it waits for each: functions, and readers over HTTP that the stream waits for.
 * @module
 */
import { holdersOf } from '../../infra/control/index.ts'
import type { StreamReader } from '../../sdk/api/readers.ts'
import type { AccountsOf } from './accounts.ts'
import type { CatalogView, Stream } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { ledgerOf, outputsOfFunctions } from './ledger.ts'
import { functionSummary } from './views.ts'

/** All at once: of each function the store is asked what gateways have sent to it. */
export async function readersOf(
  { name, consumers, followers }: Stream,
  view: CatalogView,
  heartbeats: Heartbeats,
  accountsOf: AccountsOf,
): Promise<StreamReader[]> {
  const ofFunctions = outputsOfFunctions(view, heartbeats).filter(({ stream }) => stream === name)
  const functionRow = async (reader: string): Promise<StreamReader> => {
    const live = view.functions.get(reader)!
    const { outputs, stateLost } = await accountsOf(live, ofFunctions)
    const { instancesRunning, instancesWanted } = functionSummary(live, heartbeats)
    const { backPressure } = live.version.manifest.istreams[name]!
    const [account] = ledgerOf(reader, [name], outputs, stateLost)
    return { reader, backPressure, instancesRunning, instancesWanted, ...account! }
  }
  const [ofReaders, { outputs }] = await Promise.all([
    Promise.all(consumers.map(functionRow)),
    accountsOf(undefined, ofFunctions),
  ])
  const ofHolders = holdersOf(followers).map(
    ({ name: reader, backPressure }): StreamReader => ({
      ...{ reader, backPressure },
      ...ledgerOf(reader, [name], outputs)[0]!,
    }),
  )
  return [...ofReaders, ...ofHolders]
}
