/**
 * Messages: translates between Mesos's terms and those of engine.ts. Nothing else in Concord knows them.
 *
 * Only the fields that we need are parsed; unknown ones are ignored, as the master ignores ours.
 * @module
 */
import * as z from 'zod'
import type { LaunchOrder, TaskCondition, TaskRef, TaskUpdate } from '../engine.ts'
import { memoryLimitText } from './memory-limit.ts'
import { portsIn, type WireResource } from './offered-resources.ts'

const id = z.object({ value: z.string().min(1) })

const status = z.object({
  task_id: id,
  state: z.string().default(''),
  agent_id: id.optional(),
  message: z.string().default(''),
  reason: z.string().optional(),
  uuid: z.string().optional(),
})

/** List elements are parsed one by one where they are used, so that a broken one does not spoil the others. */
const list = z.array(z.unknown()).default([])

/** An event, as far as we use it; of other events only the type. */
const eventSchema = z.object({
  type: z.string(),
  subscribed: z.object({ framework_id: id, heartbeat_interval_seconds: z.number().default(15) }).optional(),
  offers: z.object({ offers: list }).optional(),
  inverse_offers: z.object({ inverse_offers: list }).optional(),
  rescind: z.object({ offer_id: id }).optional(),
  update: z.object({ status }).optional(),
  failure: z.object({ agent_id: id.optional(), executor_id: id.optional() }).optional(),
  error: z.object({ message: z.string() }).optional(),
})
export type MesosEvent = z.output<typeof eventSchema>

/** @throws {Error} If the record is not an event, or lacks a required part. */
export function readEvent(record: Uint8Array): MesosEvent {
  const json: unknown = JSON.parse(Buffer.from(record).toString('utf8'))
  const parsed = eventSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new Error(`${issue?.path.join('.') || 'the event'}: ${issue?.message}`)
}

/** The ids of list elements; elements without one are skipped. */
export function idsOf(elements: readonly unknown[]): string[] {
  return elements.flatMap((each) => {
    const parsed = z.object({ id }).safeParse(each)
    return parsed.success ? [parsed.data.id.value] : []
  })
}

const conditions: Readonly<Record<string, TaskCondition>> = {
  TASK_STAGING: 'pending',
  TASK_STARTING: 'pending',
  TASK_RUNNING: 'running',
  TASK_KILLING: 'running',
  TASK_FINISHED: 'exited',
  TASK_FAILED: 'exited',
  TASK_KILLED: 'exited',
  TASK_DROPPED: 'dropped',
  TASK_ERROR: 'refused',
  TASK_GONE: 'lost',
  TASK_GONE_BY_OPERATOR: 'lost',
  // The master has given up the task's agent. Agent and task may come back; the task is then unknown to us.
  TASK_LOST: 'lost',
  TASK_UNREACHABLE: 'lost',
  // A new master without a registry says this about running tasks whose agents have not registered yet.
  TASK_UNKNOWN: 'unsure',
}

/**
 * Only an agent gives its updates a uuid. One that drops a task has failed to start it, unless it says, when it comes
 * back, that the task never reached it.
 */
function conditionOf({ state, uuid, reason }: z.output<typeof status>): TaskCondition | undefined {
  const isAgents = uuid !== undefined && reason !== 'REASON_RECONCILIATION'
  return state === 'TASK_DROPPED' && isAgents ? 'notStarted' : conditions[state]
}

/** Undefined for an unknown state. */
export function updateOf(event: MesosEvent): TaskUpdate | undefined {
  const given = event.update?.status
  const condition = given === undefined ? undefined : conditionOf(given)
  if (given === undefined || condition === undefined) return undefined
  const exitCode = exitCodeOf(given.message)
  return {
    taskId: given.task_id.value,
    condition,
    message: messageOf(given.state, given.message),
    ...(given.agent_id === undefined ? {} : { agentId: given.agent_id.value }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(given.reason === 'REASON_CONTAINER_LIMITATION_MEMORY' ? { exceeded: 'memory' as const } : {}),
    ...(given.reason === 'REASON_CONTAINER_LIMITATION_DISK' ? { exceeded: 'disk' as const } : {}),
    ...(given.reason === 'REASON_AGENT_DRAINING' ? { agentDrains: true as const } : {}),
    ...(given.uuid === undefined ? {} : { receipt: given.uuid }),
  }
}

function messageOf(state: string, message: string): string {
  const said = message === '' ? state : memoryLimitText(message)
  return state === 'TASK_UNREACHABLE' || state === 'TASK_LOST' ? `its agent is out of reach: ${said}` : said
}

/** The command executor reports the exit status only as text; for a signal, strsignal's. */
const signals: Readonly<Record<string, number>> = {
  Hangup: 1,
  Interrupt: 2,
  Quit: 3,
  'Illegal instruction': 4,
  'Trace/breakpoint trap': 5,
  Aborted: 6,
  'Bus error': 7,
  'Floating point exception': 8,
  Killed: 9,
  'Segmentation fault': 11,
  'Broken pipe': 13,
  Terminated: 15,
}

export function exitCodeOf(message: string): number | undefined {
  const exited = /^Command exited with status (\d+)/.exec(message)
  if (exited !== null) return Number(exited[1])
  const signalled = /^Command terminated with signal ([A-Za-z/ ]+)/.exec(message)
  const signal = signals[signalled?.[1]?.trim() ?? '']
  return signal === undefined ? undefined : 128 + signal
}

export interface FrameworkInfo {
  readonly user: string
  readonly name: string
  readonly roles: readonly string[]
  readonly principal?: string
  readonly failoverTimeoutSeconds: number
}

/** How long the master withholds declined resources; REVIVE ends that. */
const refuse = { refuse_seconds: 3600 }
const value = (text: string) => ({ value: text })
const values = (texts: readonly string[]) => texts.map(value)

/** The id is required in two places, or in none. */
export function subscribeCall(info: FrameworkInfo, frameworkId: string | undefined) {
  return {
    type: 'SUBSCRIBE',
    ...(frameworkId === undefined ? {} : { framework_id: value(frameworkId) }),
    subscribe: {
      framework_info: {
        ...(frameworkId === undefined ? {} : { id: value(frameworkId) }),
        user: info.user,
        name: info.name,
        roles: info.roles,
        capabilities: ['MULTI_ROLE', 'RESERVATION_REFINEMENT', 'TASK_KILLING_STATE', 'PARTITION_AWARE'].map(
          (type) => ({
            type,
          }),
        ),
        failover_timeout: info.failoverTimeoutSeconds,
        checkpoint: true,
        ...(info.principal === undefined ? {} : { principal: info.principal }),
      },
    },
  }
}

/**
 * @param resources For each order, as in the offers (offered-resources.ts).
 * @param user As whom they run. A master ignores a new user of a framework that it knows, so each task has it.
 */
export function acceptCall(
  offerIds: readonly string[],
  orders: readonly LaunchOrder[],
  resources: readonly (readonly WireResource[])[],
  user: string,
) {
  const launch = { task_infos: orders.map((order, i) => taskInfo(order, resources[i] ?? [], user)) }
  const operations = [{ type: 'LAUNCH', launch }]
  return { type: 'ACCEPT', accept: { offer_ids: values(offerIds), operations, filters: refuse } }
}

function taskInfo(order: LaunchOrder, resources: readonly WireResource[], user: string) {
  const { value: program, arguments: args, environment, archiveUrl } = order.command
  const uris = archiveUrl === undefined ? {} : { uris: [{ value: archiveUrl, extract: true, cache: true }] }
  const ports = portsIn(resources)
  const all = { ...environment, ...(ports.length > 0 && { CONCORD_PORTS: ports.join(',') }) }
  const variables = Object.entries(all).map(([name, text]) => ({ name, value: text }))
  return {
    name: order.name,
    task_id: value(order.taskId),
    agent_id: value(order.agentId),
    resources,
    // `arguments` starts with argv[0].
    command: {
      shell: false,
      user,
      value: program,
      arguments: [program, ...args],
      environment: { variables },
      ...uris,
    },
    kill_policy: killPolicy(order.killGraceMs),
  }
}

function killPolicy(graceMs: number) {
  return { grace_period: { nanoseconds: graceMs * 1_000_000 } }
}

export function declineCall(offerIds: readonly string[]) {
  return { type: 'DECLINE', decline: { offer_ids: values(offerIds), filters: refuse } }
}

/** Requests to clear an agent are declined; tasks move when the agent goes. */
export function declineInverseCall(offerIds: readonly string[]) {
  return {
    type: 'DECLINE_INVERSE_OFFERS',
    decline_inverse_offers: { inverse_offer_ids: values(offerIds), filters: refuse },
  }
}

export function killCall(task: TaskRef, graceMs: number) {
  return { type: 'KILL', kill: { ...ref(task), kill_policy: killPolicy(graceMs) } }
}

/** Acknowledges an update that has a receipt. */
export function acknowledgeCall(update: TaskUpdate) {
  return { type: 'ACKNOWLEDGE', acknowledge: { ...ref(update), uuid: update.receipt } }
}

/** Without tasks: asks for all of ours that the master knows. */
export function reconcileCall(tasks: readonly TaskRef[]) {
  return { type: 'RECONCILE', reconcile: { tasks: tasks.map(ref) } }
}

export function wantOffersCall(wanted: boolean) {
  return { type: wanted ? 'REVIVE' : 'SUPPRESS' }
}

function ref(task: TaskRef) {
  return {
    task_id: value(task.taskId),
    ...(task.agentId === undefined ? {} : { agent_id: value(task.agentId) }),
  }
}
