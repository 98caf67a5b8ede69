/** The front door of nats/: the real nats-server, started or found again, with one user per role. */
export type { NatsUser, NatsUsers } from './config-file.ts'
export { type NatsRole, natsRoles } from './permissions.ts'
export { endNatsServer, type NatsServer, type NatsServerOptions, startNatsServer } from './server.ts'
