/**
 * Memory: the memory account of a runner, as operators see it.
 * @module
 */

/**
 * Where the memory of a runner goes, in this order:
 *   - `process`: Node, the platform's code and its own heap;
 *   - `isolates`: heaps of the isolates, with the texts of batches that V8 has not collected; those of versions beside the one at work too;
 *   - `state`: what keyed state and timers lie in;
 *   - `tape`: the last records, for a gate;
 *   - `assets`;
 *   - `buffers`: records on their way and the memory kept for the next ones, the taps, what a checkpoint copies meanwhile;
 *   - `rest`: what calls share with isolates, and what has been freed and not given back.
 */
export const memoryAccounts = ['process', 'isolates', 'state', 'tape', 'assets', 'buffers', 'rest'] as const
export type MemoryAccount = (typeof memoryAccounts)[number]

type Accounts = Readonly<Record<MemoryAccount, number>>

/** The accounts for people, as in `process 98, state 12 MiB`; less than a MiB is left out. */
export function accountsText({ accounts }: { readonly accounts: Accounts }): string {
  const said = memoryAccounts.flatMap((account) => {
    const mib = Math.round(accounts[account] / 2 ** 20)
    return mib === 0 ? [] : [`${account} ${mib}`]
  })
  return `${said.join(', ')} MiB`
}
