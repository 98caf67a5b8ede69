/**
 * Schema: every setting of the platform, with its meaning, its bounds and its default. One place; `concord config`
 * prints it.
 *
 * A default in braces is made of other settings: `sqlite:{home}/store.sqlite`. A setting without default may be unset.
 * @module
 */
import * as z from 'zod'
import { logLevelSchema, nameSchema } from '../../sdk/manifest/manifest.ts'

const port = z.int().min(0).max(65535)
const text = z.string().min(1)
const secret = { secret: true }

const configSchema = z.object({
  home: text.default('~/.concord').describe('state folder on one machine'),
  namespace: nameSchema
    .default('default')
    .describe('separates platforms that share NATS; each needs a store of its own'),
  gateway: z.object({
    host: text.default('127.0.0.1').describe('address on which the HTTP API listens'),
    port: port.default(8642).describe('port of the HTTP API; 0: any free one'),
    tokenFile: text.default('{home}/token').describe('file with the bearer token of the HTTP API'),
  }),
  nats: z.object({
    port: port.default(8643).describe('port of the nats-server that `concord up` starts; 0: any free one'),
    url: text.default('nats://127.0.0.1:{nats.port}').describe('where NATS is; several, separated by commas'),
    user: text
      .optional()
      .describe(
        'user of this process on NATS: gateway or scheduler, whose rights differ; `concord up` makes its own',
      ),
    password: text.optional().describe('password of that user').meta(secret),
    runnerUser: text.optional().describe('user of the runners on NATS; only a scheduler needs it'),
    runnerPassword: text.optional().describe('password of that user').meta(secret),
    caFile: text
      .optional()
      .describe(
        'PEM of the authority that signs the NATS servers; this, or tls:// in nats.url, turns TLS on',
      ),
    certFile: text.optional().describe('PEM of the client certificate for the NATS servers'),
    keyFile: text.optional().describe('PEM of its key'),
    replicas: z
      .union([z.literal('auto'), z.int().min(1).max(5)])
      .default('auto')
      .describe(
        'how many servers keep a copy of what JetStream stores (bundles, checkpoints, dead letters, records queued on disk, logs); auto: 3 on a cluster of three or more, else 1',
      ),
    serverCommand: text
      .default('nats-server')
      .describe('the nats-server program that `concord up` starts')
      .meta({ env: 'CONCORD_NATS_SERVER' }),
  }),
  mesos: z.object({
    port: port.default(8644).describe('port of the one-machine cluster; 0: any free one'),
    url: text
      .default('http://127.0.0.1:{mesos.port}')
      .describe(
        'a Mesos master; several, separated by commas; or their place in ZooKeeper: zk://HOST:PORT,HOST:PORT/mesos',
      ),
    principal: text.optional().describe('principal of the scheduler on Mesos; `concord up` makes its own'),
    secret: text.optional().describe('secret of that principal').meta(secret),
    role: text
      .default('concord')
      .describe('Mesos role for which the scheduler takes offers; several, separated by commas'),
    user: text
      .optional()
      .describe(
        'user as whom the agents run the tasks, and whom each must have; unset: that of the scheduler',
      ),
    onRemoved: z
      .enum(['fail', 'registerAnew'])
      .default('fail')
      .describe('what the scheduler does if the master removed its framework; `concord up` registers anew'),
    failoverTimeoutSeconds: z
      .number()
      .min(0)
      .default(604_800)
      .describe('how long Mesos keeps tasks running without a scheduler'),
  }),
  agent: z.object({
    cpus: z.number().min(0.1).optional().describe('cores that the one-machine cluster offers; unset: all'),
    memMib: z.int().min(64).optional().describe('memory that it offers; unset: most'),
    diskMib: z.int().min(64).optional().describe('disk that it offers; unset: what is free'),
  }),
  store: z.object({
    url: text
      .default('sqlite:{home}/store.sqlite')
      .describe(
        'the store of wanted and actual state: sqlite:PATH, or zk://HOST:PORT,HOST:PORT/PATH on ZooKeeper',
      ),
    user: text
      .optional()
      .describe('user who owns all nodes on ZooKeeper; choose any, the same for every process'),
    password: text.optional().describe('password of that user').meta(secret),
    replaces: text
      .optional()
      .describe(
        'id of a store that is gone for good: this store replaces it, and the state of its functions in NATS is given up. Its own id: NATS has lost that state for good. It has its effect once',
      ),
    sessionTimeoutMs: z
      .int()
      .min(1_000)
      .max(60_000)
      .default(10_000)
      .describe('silence after which a process loses its leadership; ZooKeeper allows 2 to 20 of its ticks'),
  }),
  scheduler: z.object({
    port: port.default(0).describe('port of its metrics, on loopback; 0: any free one'),
    runnerCommand: text
      .optional()
      .describe(
        'command of a runner task: words separated by spaces, or a JSON array as text; unset: the runner of this installation',
      ),
  }),
  runnerArchive: z.object({
    file: text
      .optional()
      .describe(
        'concord-runner-SHA256.tar.gz, which gateways serve and tasks run; unset: scheduler.runnerCommand',
      ),
    gatewayUrl: text
      .default('http://127.0.0.1:{gateway.port}')
      .describe('URL by which the agents of the cluster reach a gateway'),
    key: text
      .optional()
      .describe('key that signs the URLs of the archive; the same for every scheduler and gateway')
      .meta(secret),
    urlSeconds: z
      .int()
      .min(60)
      .max(604_800)
      .default(21_600)
      .describe('how long such a URL is valid at least; it stays the same, for the cache of the agents'),
  }),
  quota: z.object({
    cpus: z.number().min(0).optional().describe('cores that all tasks of the namespace may use together'),
    memMib: z.int().min(0).optional().describe('memory that they may use together'),
    diskMib: z.int().min(0).optional().describe('disk that they may use together'),
  }),
  deadLetters: z.object({
    maxMib: z
      .int()
      .min(1)
      .max(1_048_576)
      .default(256)
      .describe('space for the dead letters of a namespace; what does not fit is refused and counted'),
    maxAgeHours: z.number().min(0.1).max(87_600).default(168).describe('how long a dead letter is kept'),
  }),
  log: z.object({
    level: logLevelSchema.default('info').describe('least level that the processes log'),
  }),
})

/** All settings, checked. */
export type Config = z.output<typeof configSchema>

export interface Setting {
  /** Path in the configuration file and name of the flag: `gateway.port`. */
  readonly key: string
  /** Name in the environment: `CONCORD_GATEWAY_PORT`. */
  readonly env: string
  readonly description: string
  /** Never printed. */
  readonly secret: boolean
  /** Checks a value; `undefined` if unset may stay so, or gives the default. */
  readonly type: z.ZodType
}

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = listSettings(configSchema, '')

function listSettings(group: z.ZodObject, prefix: string): Setting[] {
  return Object.entries(group.shape).flatMap(([name, type]) => {
    const key = prefix + name
    if (type instanceof z.ZodObject) return listSettings(type, `${key}.`)
    const { description = '', secret = false, env = environmentName(key) } = (type as z.ZodType).meta() ?? {}
    return [{ key, env: env as string, description, secret: secret as boolean, type: type as z.ZodType }]
  })
}

/** `mesos.failoverTimeoutSeconds` → `CONCORD_MESOS_FAILOVER_TIMEOUT_SECONDS`. */
function environmentName(key: string): string {
  return `CONCORD_${key.replaceAll('.', '_').replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`
}
