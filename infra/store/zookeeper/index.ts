/** The front door of zookeeper/: the store of a cluster. */
export { openZooKeeperStore, type StoreLog, type ZooKeeperStoreOptions } from './zookeeper.ts'
