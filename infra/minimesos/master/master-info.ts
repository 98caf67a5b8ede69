/**
 * MasterInfo: the message with which a master describes itself to frameworks and in ZooKeeper.
 * @module
 */
import { randomUUID } from 'node:crypto'

export type MasterInfo = ReturnType<typeof masterInfo>

/** @param port Where it listens on loopback. */
export function masterInfo(port: number) {
  return {
    /** Fresh at each start. */
    id: randomUUID() as string,
    ip: 16_777_343, // 127.0.0.1, in network order read as a little-endian number
    port,
    pid: `master@127.0.0.1:${port}`,
    hostname: '127.0.0.1',
    version: '1.12.0',
    address: { hostname: '127.0.0.1', ip: '127.0.0.1', port },
    capabilities: [{ type: 'AGENT_UPDATE' }, { type: 'AGENT_DRAINING' }, { type: 'QUOTA_V2' }],
  }
}
