/** The front door of zookeeper/: the store of a cluster. */
export { openZooKeeperStore, type StoreLog } from './zookeeper.ts'
