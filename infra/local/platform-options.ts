/**
 * PlatformOptions: what a platform on one machine is made of.
 * @module
 */
import type { Clock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import type { Log } from '../log.ts'
import type { ProcessId } from '../process.ts'
import type { Credentials } from './credentials.ts'
import type { Home } from './home.ts'
import type { PortChoice } from './ports.ts'
import type { PortName } from './up-file.ts'

export interface PlatformOptions {
  readonly home: Home
  readonly config: Config
  readonly credentials: Credentials
  readonly ports: Readonly<Record<PortName, PortChoice>>
  /** Called when a process has started, again too, or was adopted. */
  readonly started: (name: string, id: ProcessId) => void
  /** Called when a scheduler has become the leader. */
  readonly leads: (name: string) => void
  /** Several agents and schedulers; absent: one of each. */
  readonly cluster?: ClusterSize
  readonly clock: Clock
  readonly log: Log
}

export interface ClusterSize {
  readonly agents: number
  readonly schedulers: number
  /** ZooKeeper servers, which then hold the store; 0: the store is a file. */
  readonly zookeepers: number
  /** nats-servers: 1, or several that form a cluster. */
  readonly natsServers: number
  /** Mesos masters: 1, or several that elect a leader in ZooKeeper. */
  readonly masters: number
}
