export {
  type EnsemblePlan,
  planEnsemble,
  startEnsemble,
  startZooKeeper,
  type ZooKeeperEnsemble,
  type ZooKeeperServer,
} from './server.ts'
