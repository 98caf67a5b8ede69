export { planEnsemble, startEnsemble, startZooKeeper, type ZooKeeperServer } from './server.ts'
