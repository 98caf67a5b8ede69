/**
 * The messages of `mesos.v1.scheduler` that minimesos reads, as data; their TypeScript types follow from them.
 * Names and rules (required, repeated) are those of mesos.proto and scheduler.proto.
 * @module
 */
import {
  anything,
  bool,
  bytes,
  type Infer,
  message,
  number,
  oneOf,
  repeated,
  required,
  string,
} from './proto.ts'

const id = message({ value: required(string) })
const duration = message({ nanoseconds: required(number) })

const reservation = message({
  type: oneOf('STATIC', 'DYNAMIC'),
  role: string,
  principal: string,
  labels: message({ labels: repeated(message({ key: required(string), value: string })) }),
})

const resource = message({
  name: required(string),
  type: required(oneOf('SCALAR', 'RANGES', 'SET')),
  scalar: message({ value: required(number) }),
  ranges: message({ range: repeated(message({ begin: required(number), end: required(number) })) }),
  role: string,
  allocation_info: message({ role: string }),
  reservation,
  reservations: repeated(reservation),
  // What no offer holds, so a task that names it asks for something that is not there.
  disk: anything,
  revocable: anything,
  shared: anything,
})

const uri = message({
  value: required(string),
  executable: bool,
  extract: bool,
  cache: bool,
  output_file: string,
})

const command = message({
  uris: repeated(uri),
  environment: message({ variables: repeated(message({ name: required(string), value: string })) }),
  shell: bool,
  value: string,
  arguments: repeated(string),
  user: string,
})

const killPolicy = message({ grace_period: duration })

const taskInfo = message({
  name: required(string),
  task_id: required(id),
  agent_id: required(id),
  resources: repeated(resource),
  command,
  kill_policy: killPolicy,
  labels: anything,
  data: bytes,
  discovery: anything,
  executor: anything,
  container: anything,
  health_check: anything,
  check: anything,
  max_completion_time: anything,
})

const frameworkInfo = message({
  user: required(string),
  name: required(string),
  id,
  failover_timeout: number,
  checkpoint: bool,
  role: string,
  roles: repeated(string),
  hostname: string,
  principal: string,
  webui_url: string,
  capabilities: repeated(
    message({
      type: oneOf(
        'REVOCABLE_RESOURCES',
        'TASK_KILLING_STATE',
        'GPU_RESOURCES',
        'SHARED_RESOURCES',
        'PARTITION_AWARE',
        'MULTI_ROLE',
        'RESERVATION_REFINEMENT',
        'REGION_AWARE',
      ),
    }),
  ),
  labels: anything,
})

const operation = message({
  type: oneOf(
    'LAUNCH',
    'LAUNCH_GROUP',
    'RESERVE',
    'UNRESERVE',
    'CREATE',
    'DESTROY',
    'GROW_VOLUME',
    'SHRINK_VOLUME',
  ),
  id,
  launch: message({ task_infos: repeated(taskInfo) }),
  launch_group: message({ task_group: required(message({ tasks: repeated(taskInfo) })) }),
  reserve: message({ resources: repeated(resource) }),
  unreserve: message({ resources: repeated(resource) }),
})

const filters = message({ refuse_seconds: number })

export const callType = message({
  framework_id: id,
  type: oneOf(
    'SUBSCRIBE',
    'TEARDOWN',
    'ACCEPT',
    'DECLINE',
    'ACCEPT_INVERSE_OFFERS',
    'DECLINE_INVERSE_OFFERS',
    'REVIVE',
    'SUPPRESS',
    'KILL',
    'SHUTDOWN',
    'ACKNOWLEDGE',
    'ACKNOWLEDGE_OPERATION_STATUS',
    'RECONCILE',
    'RECONCILE_OPERATIONS',
    'MESSAGE',
    'REQUEST',
    'UPDATE_FRAMEWORK',
  ),
  subscribe: message({ framework_info: required(frameworkInfo), suppressed_roles: repeated(string) }),
  update_framework: message({ framework_info: required(frameworkInfo), suppressed_roles: repeated(string) }),
  accept: message({ offer_ids: repeated(id), operations: repeated(operation), filters }),
  decline: message({ offer_ids: repeated(id), filters }),
  accept_inverse_offers: message({ inverse_offer_ids: repeated(id) }),
  decline_inverse_offers: message({ inverse_offer_ids: repeated(id) }),
  revive: message({ roles: repeated(string) }),
  suppress: message({ roles: repeated(string) }),
  kill: message({ task_id: required(id), agent_id: id, kill_policy: killPolicy }),
  shutdown: message({ executor_id: required(id), agent_id: required(id) }),
  acknowledge: message({ agent_id: required(id), task_id: required(id), uuid: required(bytes) }),
  acknowledge_operation_status: message({ operation_id: required(id), uuid: required(bytes) }),
  reconcile: message({ tasks: repeated(message({ task_id: required(id), agent_id: id })) }),
  reconcile_operations: message({
    operations: repeated(message({ operation_id: required(id), agent_id: id })),
  }),
  message: message({ agent_id: required(id), executor_id: required(id), data: required(bytes) }),
  request: message({ requests: repeated(anything) }),
})

/** The calls of the operator API that change what frameworks are offered. */
const operatorReservation = message({ agent_id: required(id), resources: repeated(resource) })
export const operatorCallType = message({
  type: oneOf(
    'MARK_AGENT_GONE',
    'DRAIN_AGENT',
    'REACTIVATE_AGENT',
    'RESERVE_RESOURCES',
    'UNRESERVE_RESOURCES',
  ),
  mark_agent_gone: message({ agent_id: required(id) }),
  drain_agent: message({
    agent_id: required(id),
    max_grace_period: message({ seconds: number, nanos: number }),
  }),
  reactivate_agent: message({ agent_id: required(id) }),
  reserve_resources: operatorReservation,
  unreserve_resources: operatorReservation,
})

export type Call = Infer<typeof callType>
export type CallType = NonNullable<Call['type']>
export type FrameworkInfo = Infer<typeof frameworkInfo>
export type TaskInfo = Infer<typeof taskInfo>
export type CommandInfo = Infer<typeof command>
export type Uri = Infer<typeof uri>
export type Operation = Infer<typeof operation>
export type ResourceInfo = Infer<typeof resource>
export type ReservationInfo = Infer<typeof reservation>
export type Id = Infer<typeof id>

export type TaskState =
  | 'TASK_STAGING'
  | 'TASK_STARTING'
  | 'TASK_RUNNING'
  | 'TASK_KILLING'
  | 'TASK_FINISHED'
  | 'TASK_FAILED'
  | 'TASK_KILLED'
  | 'TASK_ERROR'
  | 'TASK_LOST'
  | 'TASK_DROPPED'
  | 'TASK_GONE'
  | 'TASK_GONE_BY_OPERATOR'
  | 'TASK_UNREACHABLE'
  | 'TASK_UNKNOWN'

const terminalStates: ReadonlySet<TaskState> = new Set([
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
])
export const isTerminal = (state: TaskState): boolean => terminalStates.has(state)

/** What minimesos sends of a task. With a `uuid` it wants an acknowledgement. */
export interface TaskStatus {
  readonly task_id: Id
  readonly state: TaskState
  readonly message?: string
  readonly source: 'SOURCE_MASTER' | 'SOURCE_AGENT' | 'SOURCE_EXECUTOR'
  readonly reason?: string
  readonly agent_id?: Id
  readonly executor_id?: Id
  /** Seconds since 1970, with a fraction. */
  readonly timestamp: number
  readonly uuid?: string
  readonly container_status?: unknown
  readonly limitation?: unknown
}
