/**
 * ClientModule: finds the npm package `zookeeper`, only when a store on ZooKeeper is opened: it has to be compiled,
 * and the one-machine platform needs no compiler. The bootstrap installs it into `.tools/zookeeper`; a packager of
 * Concord may put it beside the other packages.
 * @module
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { infraError } from '../../errors.ts'
import { root } from '../../programs.mjs'

const places = [join(root, '.tools', 'zookeeper', 'package.json'), import.meta.url]

/** @throws {CodedError} ERR_STORE_MODULE */
export function findClientModule(from: readonly (string | URL)[] = places): string {
  for (const place of from) {
    try {
      return createRequire(place).resolve('zookeeper')
    } catch {
      // not there
    }
  }
  throw moduleError('is not installed')
}

export function moduleError(why: string): Error {
  return infraError(
    'ERR_STORE_MODULE',
    `Cannot use a store on ZooKeeper: its client, the npm package 'zookeeper', ${why}. ` +
      "Install it with 'npm run bootstrap -- --for cluster' in Concord's folder. That compiles it, for which it takes a C++ compiler, make and Python 3",
  )
}
