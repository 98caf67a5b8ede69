/**
 * MinimesosOptions: the options of a master and of its agents.
 * @module
 */
import type { Logger } from 'pino'
import type { Clock } from '../clock.ts'
import type { Credentials } from './master/index.ts'

export interface MinimesosOptions {
  /** 0: any free one. */
  readonly port: number
  readonly stateDir: string
  /** Absent: no authentication; whoever reaches the port may run commands. */
  readonly credentials?: Credentials
  /** Several agents. Absent: one, with the options below. */
  readonly agents?: readonly AgentSpec[]
  /** How long an agent may be silent before the master calls it unreachable; default 75 s. */
  readonly agentTimeoutMs?: number
  /** What the agent offers; by default all cpus, 75 % of the memory and the free disk. */
  readonly cpus?: number
  readonly memMib?: number
  readonly diskMib?: number
  readonly hostname?: string
  /** `rack:r1;zone:z-a` */
  readonly attributes?: string
  /** Of that, what is reserved for roles: `cpus(web):2;mem(web):1024` */
  readonly reserved?: string
  /** Offers not answered by then are rescinded. Absent: never. */
  readonly offerTimeoutMs?: number
  /**
   * Where it says that it is a master, `zk://host,host/mesos`. Of several on one state folder one leads, and the others
   * point to it until it is gone. Absent: nowhere, and it is the only one.
   */
  readonly zookeeper?: string
  readonly clock?: Clock
  readonly log?: Logger
}

/** One of several agents; absent options are those of `MinimesosOptions`. */
export interface AgentSpec {
  /** The name of its folder, and its hostname. */
  readonly name: string
  readonly cpus?: number
  readonly memMib?: number
  readonly diskMib?: number
  readonly attributes?: string
  readonly reserved?: string
}
