/**
 * Later: why what a gateway has accepted does not happen now (docs/design/0038-who-can-know.md).
 * @module
 */
import type { ConcordClient } from '../client/index.ts'
import { note } from './terminal.ts'

/** Why a change of a function will not happen now; undefined: it will, or it cannot be asked. The change is accepted in any case. */
export function whyLater(client: ConcordClient, name: string): Promise<string | undefined> {
  return client.inspect(name).then(
    ({ noScheduler }) => noScheduler,
    () => undefined,
  )
}

/** For who does not wait. */
export async function tellIfLater(client: ConcordClient, name: string): Promise<void> {
  const later = await whyLater(client, name)
  if (later !== undefined) note(`It waits: ${later}`)
}
