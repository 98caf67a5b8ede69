/**
 * The address of the masters' nodes: `zk://HOST[:PORT],HOST[:PORT]…/PATH`, as Mesos's own `--zk` and `--master` take it.
 * @module
 */
import { infraError } from '../errors.ts'
import { readAddress, type ZooKeeperAddress } from '../store/zookeeper/address.ts'

export interface MastersUrl extends ZooKeeperAddress {
  /** Of ZooKeeper, where the nodes are not readable for everybody. */
  readonly user: string
  readonly password: string
}

/** @throws {CodedError} ERR_MASTERS_URL */
export function parseMastersUrl(url: string): MastersUrl {
  const [, login = '', rest = ''] = /^zk:\/\/(?:([^/]*)@)?([^@]*)$/.exec(url) ?? []
  const address = readAddress(`zk://${rest}`)
  const [, user = 'anonymous', password = ''] = /^([^:]+):(.*)$/.exec(login) ?? []
  if (address !== undefined && (login === '' || login.includes(':'))) return { ...address, user, password }
  // Not shown if it may contain a password.
  const shown = url.includes('@') ? 'the address' : `'${url}'`
  throw infraError(
    'ERR_MASTERS_URL',
    `Cannot find the Mesos masters by ${shown}: expected zk://HOST[:PORT],HOST[:PORT]…/PATH, for example zk://zk1,zk2,zk3/mesos`,
  )
}
