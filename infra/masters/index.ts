/** The front door of masters/: who leads the Mesos masters, in ZooKeeper. */
export { watchLeader } from './leader-watch.ts'
export { type MastersUrl, parseMastersUrl } from './masters-url.ts'
export { joinMasters, type Membership } from './membership.ts'
