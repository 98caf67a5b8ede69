/**
 * A process of the tests: opens the store and says `ready`. Then, by its last argument:
 *   idle      stays
 *   meddle    leads, says its epoch, and writes as fast as it can, until it leads no more: then it ends with 7
 * @module
 */
import { login, sessionTimeoutMs } from './testing.ts'
import { openZooKeeperStore } from './zookeeper.ts'

const [connect, root, what, timeoutMs = String(sessionTimeoutMs)] = process.argv.slice(2)
const store = await openZooKeeperStore({
  url: `zk://${connect}${root}`,
  ...login,
  sessionTimeoutMs: Number(timeoutMs),
})
process.send?.('ready')

if (what === 'meddle') {
  const leadership = await store.lead('scheduler', new AbortController().signal)
  leadership.lost.addEventListener('abort', () => process.exit(7))
  await leadership.store.create('/counter', 0)
  await leadership.seal()
  process.send?.(leadership.epoch)
  for (let n = 1; ; n++) {
    await leadership.store.create(`/made/${n}`, leadership.epoch).catch(() => {})
    await leadership.store.update('/counter', n, n - 1).catch(() => {})
    await leadership.store.remove(`/made/${n}`).catch(() => {})
  }
}
