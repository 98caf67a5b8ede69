/**
 * Credentials: who may talk to whom on one machine, made at the first start and kept in the home folder, mode 0600.
 * @module
 */
import { readFile } from 'node:fs/promises'
import * as z from 'zod'
import { infraError } from '../errors.ts'
import { type NatsRole, natsRoles } from '../nats/index.ts'
import { writePrivate } from '../private-file.ts'
import { type Home, zookeepersOf } from './home.ts'
import { isToken, makeToken } from './token.ts'

const token = z.string().refine(isToken, 'expected an undamaged token')
const user = z.object({ user: z.string(), password: token })
const credentialsSchema = z.object({
  schema: z.literal(1),
  nats: z.object({ gateway: user, scheduler: user, runner: user, client: user }),
  mesos: z.object({ principal: z.string(), secret: token }),
  gatewayToken: token,
})
export type Credentials = z.output<typeof credentialsSchema>

function generateCredentials(): Credentials {
  const natsUser = (role: NatsRole) => [role, { user: role, password: makeToken() }]
  return {
    schema: 1,
    nats: Object.fromEntries(natsRoles.map(natsUser)) as Credentials['nats'],
    mesos: { principal: 'concord', secret: makeToken() },
    gatewayToken: makeToken(),
  }
}

/**
 * Reads the file; makes it where there is none.
 * @throws {CodedError} ERR_CREDENTIALS if it is damaged, or missing beside a store that accepts no others.
 */
export async function loadCredentials(home: Home): Promise<Credentials> {
  const { credentials: file } = home
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined && zookeepersOf(home) === 0) {
    const made = generateCredentials()
    await writePrivate(file, JSON.stringify(made, null, 2))
    return made
  }
  try {
    return credentialsSchema.parse(JSON.parse(text ?? ''))
  } catch (cause) {
    const found = text === undefined ? 'there is no such file' : 'they are damaged'
    const how =
      zookeepersOf(home) > 0
        ? `Put back a copy: the store in ${home.zookeeper} accepts no others. Without one, begin anew with another --home`
        : 'Put back a copy, or remove the file to get new ones'
    throw infraError('ERR_CREDENTIALS', `Cannot read the credentials in ${file}: ${found}. ${how}`, {
      cause,
    })
  }
}
