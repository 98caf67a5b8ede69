/**
 * The address of a store on ZooKeeper: `zk://HOST[:PORT],HOST[:PORT]…/PATH`.
 * @module
 */
import { infraError } from '../../errors.ts'

export interface ZooKeeperAddress {
  readonly servers: readonly { readonly host: string; readonly port: number }[]
  /** The node under which everything lies: `/concord`. */
  readonly root: string
}

const portDefault = 2181
const expected = 'expected zk://HOST[:PORT],HOST[:PORT]…/PATH, for example zk://zk1,zk2,zk3/concord'

/** @throws {CodedError} ERR_STORE_URL */
export function parseAddress(url: string): ZooKeeperAddress {
  // Not shown: it may be a password.
  if (/^zk:\/\/[^/]*@/.test(url))
    throw infraError(
      'ERR_STORE_URL',
      'Cannot use the store: its URL holds credentials, which would be shown. Set store.user and store.password instead',
    )
  const address = readAddress(url)
  if (address === undefined) throw infraError('ERR_STORE_URL', `Cannot open store '${url}': ${expected}`)
  return address
}

/** @returns Undefined if the text is not such an address. */
export function readAddress(url: string): ZooKeeperAddress | undefined {
  const [, list = '', root = ''] = /^zk:\/\/([^/]*)((?:\/[A-Za-z0-9_][A-Za-z0-9._-]*)+)$/.exec(url) ?? []
  const servers = list.split(',').map(parseServer)
  if (list === '' || root === '/zookeeper' || servers.includes(undefined)) return undefined
  return { servers: servers as ZooKeeperAddress['servers'], root }
}

function parseServer(text: string): ZooKeeperAddress['servers'][number] | undefined {
  const [, ipv6, name, digits] = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = ipv6 ?? name
  const port = digits === undefined ? portDefault : Number(digits)
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}
