/** The front door of nats/: the real nats-server, one or a cluster, started or found again, with one user per role. */
export { endNatsCluster, natsClusterSize, planNatsCluster } from './cluster.ts'
export { type NatsUsers, storeFolder, usersFromEnvironment } from './config-file.ts'
export { type NatsRole, natsRoles } from './permissions.ts'
export { endNatsServer, type NatsServer, type NatsServerOptions, startNatsServer } from './server.ts'
