import { storeContract } from '../contract.ts'
import { login, sessionTimeoutMs, useServer } from './testing.ts'

const zk = useServer()

storeContract(
  'ZooKeeperStore',
  async () => ({ url: `zk://${zk.server.connect}${zk.freshRoot()}`, ...login, sessionTimeoutMs }),
  { changes: 200, freedMs: 30_000 },
)
