/**
 * Writes nats/users.conf from infra/nats/permissions.ts: `node infra/deploy/users-conf.ts`. A test keeps the two equal. With
 * namespaces (`users-conf.ts team-a team-b`), prints a file in which each has users of its own.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { usersFromEnvironment } from '../nats/index.ts'

/** The whole file. */
export function usersConf(namespaces: readonly string[] = []): string {
  return `# The users of Concord on NATS. Written by infra/deploy/users-conf.ts: change infra/nats/permissions.ts.
# A server takes each password from its environment, and does not start without one of them. nats-server reads them as
# values of a configuration: begin each with a letter, and use only letters and digits.
${usersFromEnvironment(namespaces)}`
}

if (import.meta.main) {
  const namespaces = process.argv.slice(2)
  if (namespaces.length > 0) process.stdout.write(usersConf(namespaces))
  else writeFileSync(join(import.meta.dirname, 'nats/users.conf'), usersConf())
}
