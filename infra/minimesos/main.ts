/**
 * The minimesos process: flags in, one ready line out on stdout, logs on stderr.
 *
 * Ends on SIGTERM and SIGINT, and with CONCORD_PARENT=stdin when stdin closes. Its tasks live on.
 * @module
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import { askedToEnd } from '../ending.ts'
import { type LogOptions, makeLog } from '../log.ts'
import { startMinimesos } from './minimesos.ts'
import type { AgentSpec, MinimesosOptions } from './options.ts'

const usage = `usage: minimesos --state DIR (--credentials FILE | --no-credentials)
  [--port 5050] [--cpus N] [--mem MIB] [--disk MIB] [--hostname NAME] [--attributes k:v;k:v]
  [--reserved cpus(ROLE):N;mem(ROLE):MIB] [--offer-timeout-ms N] [--agents FILE] [--agent-timeout-ms N] [--zookeeper zk://HOST,HOST/mesos]`

const level = (process.env['CONCORD_LOG_LEVEL'] ?? 'info') as LogOptions['level']
const log = makeLog({ name: 'minimesos', level })

try {
  const minimesos = await startMinimesos({ ...readFlags(process.argv.slice(2)), log })
  const asked = askedToEnd()
  void minimesos.lost.then(() => process.exit(1)) // as a real master does; its keeper starts it again
  console.log(JSON.stringify({ ready: true, url: minimesos.url }))
  log.info({ reason: await asked }, 'ending; tasks live on')
  await minimesos.close()
  process.exit(0)
} catch (error) {
  if (!(error instanceof CodedError)) throw error
  log.fatal({ code: error.code }, error.message)
  process.exit(2)
}

function readFlags(args: string[]): MinimesosOptions {
  const flags = parse(args)
  if (flags.state === undefined) throw bad(`--state is missing\n${usage}`)
  if ((flags.credentials === undefined) !== flags['no-credentials']) {
    throw bad(
      `minimesos executes commands: give --credentials FILE, or --no-credentials to let in whoever is on this machine`,
    )
  }
  return {
    port: count('port', flags.port) ?? 5050,
    stateDir: flags.state,
    ...(flags.credentials === undefined ? {} : { credentials: readCredentials(flags.credentials) }),
    ...optional('cpus', count('cpus', flags.cpus)),
    ...optional('memMib', count('mem', flags.mem)),
    ...optional('diskMib', count('disk', flags.disk)),
    ...optional('hostname', flags.hostname),
    ...optional('attributes', flags.attributes),
    ...optional('reserved', flags.reserved),
    ...optional('offerTimeoutMs', count('offer-timeout-ms', flags['offer-timeout-ms'])),
    ...optional('agentTimeoutMs', count('agent-timeout-ms', flags['agent-timeout-ms'])),
    ...optional('zookeeper', flags.zookeeper),
    ...optional('agents', flags.agents === undefined ? undefined : readAgents(flags.agents)),
  }
}

function parse(args: string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      args,
      options: {
        port: text,
        state: text,
        credentials: text,
        'no-credentials': { type: 'boolean', default: false },
        cpus: text,
        mem: text,
        disk: text,
        hostname: text,
        attributes: text,
        reserved: text,
        'offer-timeout-ms': text,
        'agent-timeout-ms': text,
        agents: text,
        zookeeper: text,
      },
    }).values
  } catch (error) {
    throw bad(`${(error as Error).message}\n${usage}`)
  }
}

function count(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+(\.\d+)?$/.test(text)) throw bad(`--${flag} must be a number, not '${text}'`)
  return Number(text)
}

/** A JSON array of agents: `[{"name": "agent-1", "cpus": 2, "memMib": 1024, "attributes": "zone:a;rack:r1"}]`. */
function readAgents(path: string): AgentSpec[] {
  const expected = `Cannot read agents from ${path}: expected [{"name": "agent-1", "cpus": …, "memMib": …, "attributes": "zone:a"}, …]`
  const amount = z.number().positive().optional()
  const schema = z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'a name is lower-case letters, digits and dashes'),
        cpus: amount,
        memMib: amount,
        diskMib: amount,
        attributes: z.string().optional(),
        reserved: z.string().optional(),
      }),
    )
    .min(1)
    .refine((all) => new Set(all.map((each) => each.name)).size === all.length, 'names are unique')
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8'))) as AgentSpec[]
  } catch (error) {
    const why = error instanceof z.ZodError ? error.issues[0]?.message : (error as Error).message
    throw bad(`${expected}: ${why}`)
  }
}

function readCredentials(path: string): { principal: string; secret: string } {
  const expected = `Cannot read credentials from ${path}: expected {"principal": "…", "secret": "…"}`
  try {
    const { principal, secret } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    if (typeof principal === 'string' && typeof secret === 'string' && principal && secret)
      return { principal, secret }
  } catch (error) {
    throw bad(`${expected}: ${(error as Error).message}`)
  }
  throw bad(expected)
}

function optional<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V })
}

function bad(message: string): CodedError {
  return new CodedError('ERR_BAD_OPTION', message)
}
