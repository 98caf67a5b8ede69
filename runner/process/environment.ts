/**
 * Environment: the variables with which the scheduler starts a runner: its identity and its connection to NATS. All else comes with
 * its assignment.
 * @module
 */
import * as z from 'zod'
import type { NatsTls } from '../../infra/bus/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { RunnerErrorCode } from '../errors.ts'

const schema = z.object({
  CONCORD_TASK_ID: z.string().min(1),
  CONCORD_NAMESPACE: z.string().min(1),
  CONCORD_FUNCTION: z.string().min(1),
  CONCORD_NATS_URL: z.string().min(1),
  CONCORD_NATS_USER: z.string().optional(),
  CONCORD_NATS_PASSWORD: z.string().optional(),
  CONCORD_NATS_TLS: z.string().optional(),
  CONCORD_MEM_MIB: z.coerce.number().positive(),
  CONCORD_CPUS: z.coerce.number().positive().default(1),
  CONCORD_LOG_LEVEL: z.string().default('info'),
})

export interface RunnerEnvironment {
  readonly taskId: string
  readonly namespace: string
  readonly function: string
  readonly nats: {
    readonly url: string
    readonly user?: string
    readonly password?: string
    readonly tls?: NatsTls
  }
  readonly memMib: number
  readonly cpus: number
  readonly logLevel: string
}

/** @throws {CodedError} ERR_RUNNER_ENVIRONMENT, naming the variables that are missing or wrong. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): RunnerEnvironment {
  const parsed = schema.safeParse(env)
  if (!parsed.success) {
    const names = [...new Set(parsed.error.issues.map((issue) => issue.path.join('.')))].join(', ')
    const message = `Cannot start a runner: set ${names} in its environment; the scheduler does so for its tasks`
    throw new CodedError<RunnerErrorCode>('ERR_RUNNER_ENVIRONMENT', message)
  }
  const e = parsed.data
  return {
    taskId: e.CONCORD_TASK_ID,
    namespace: e.CONCORD_NAMESPACE,
    function: e.CONCORD_FUNCTION,
    nats: {
      url: e.CONCORD_NATS_URL,
      ...(e.CONCORD_NATS_USER === undefined ? {} : { user: e.CONCORD_NATS_USER }),
      ...(e.CONCORD_NATS_PASSWORD === undefined ? {} : { password: e.CONCORD_NATS_PASSWORD }),
      ...(e.CONCORD_NATS_TLS === undefined ? {} : { tls: JSON.parse(e.CONCORD_NATS_TLS) as NatsTls }),
    },
    memMib: e.CONCORD_MEM_MIB,
    cpus: e.CONCORD_CPUS,
    logLevel: e.CONCORD_LOG_LEVEL,
  }
}
