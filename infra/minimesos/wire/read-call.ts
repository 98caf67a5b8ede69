/**
 * ReadCall: parses the body of a request into a Call that has all parts that its type requires; else it is refused as a master does.
 * @module
 */
import { type Call, type CallType, callType, operatorCallType } from './messages.ts'
import { convert, type Infer, ProtoError, type Type } from './proto.ts'

/** A call of a known `type`, with the part of that name. */
export type CheckedCall = Call & { readonly type: CallType }

/** Of the operator API. */
export type OperatorCall = Infer<typeof operatorCallType> & {
  readonly type: NonNullable<Infer<typeof operatorCallType>['type']>
}

/** The request is refused with HTTP 400 and this message. */
export class BadCall extends Error {}

/** @throws {BadCall} */
export function readCall(body: string, principal: string | undefined): CheckedCall {
  const call = toCall(callType, parseJson(body))
  const fault = callFault(call, principal)
  if (fault !== undefined) throw new BadCall(`Failed to validate scheduler::Call: ${fault}`)
  return call as CheckedCall
}

export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch (error) {
    const at = Number(/position (\d+)/.exec(String(error))?.[1] ?? body.length)
    const before = body.slice(0, at).split('\n')
    const near = body.slice(at).split('\n')[0] ?? ''
    throw new BadCall(`Failed to parse body into JSON: syntax error at line ${before.length} near: ${near}`)
  }
}

/** A call of the operator API whose part is there. @throws {BadCall} */
export function readOperatorCall(body: string): OperatorCall {
  const call = toCall(operatorCallType, parseJson(body))
  const part = call.type?.toLowerCase() as Lowercase<NonNullable<typeof call.type>> | undefined
  const missing = part === undefined ? 'type' : call[part] === undefined ? part : undefined
  if (missing === undefined) return call as OperatorCall
  throw new BadCall(`Failed to validate master::Call: Expecting '${missing}' to be present`)
}

function toCall<T>(type: Type<T>, json: unknown): T {
  try {
    return convert(type, json)
  } catch (error) {
    if (error instanceof ProtoError)
      throw new BadCall(`Failed to convert JSON into Call protobuf: ${error.message}`)
    throw error
  }
}

function callFault(call: Call, principal: string | undefined): string | undefined {
  const expecting = (field: string): string => `Expecting '${field}' to be present`
  if (call.type === undefined) return expecting('type')
  if (call.type === 'SUBSCRIBE') {
    if (call.subscribe === undefined) return expecting('subscribe')
    const info = call.subscribe.framework_info
    if (info.id?.value !== call.framework_id?.value) {
      return "'framework_id' differs from 'subscribe.framework_info.id'"
    }
    if (principal !== undefined && info.principal !== undefined && info.principal !== principal) {
      return `Authenticated principal '${principal}' does not match principal '${info.principal}' set in \`FrameworkInfo\``
    }
    return undefined
  }
  if (call.framework_id === undefined) return expecting('framework_id')
  const part = partOf[call.type]
  if (part !== undefined && call[part] === undefined) return expecting(part)
  if (call.acknowledge !== undefined && !isUuid4(call.acknowledge.uuid)) return 'Not a valid UUID'
  return undefined
}

/** The part that a type cannot do without; TEARDOWN, REVIVE and SUPPRESS need none. */
const partOf: Readonly<Partial<Record<CallType, keyof Call>>> = {
  ACCEPT: 'accept',
  DECLINE: 'decline',
  ACCEPT_INVERSE_OFFERS: 'accept_inverse_offers',
  DECLINE_INVERSE_OFFERS: 'decline_inverse_offers',
  KILL: 'kill',
  SHUTDOWN: 'shutdown',
  ACKNOWLEDGE: 'acknowledge',
  ACKNOWLEDGE_OPERATION_STATUS: 'acknowledge_operation_status',
  RECONCILE: 'reconcile',
  RECONCILE_OPERATIONS: 'reconcile_operations',
  MESSAGE: 'message',
  REQUEST: 'request',
  UPDATE_FRAMEWORK: 'update_framework',
}

function isUuid4(base64: string): boolean {
  const raw = Buffer.from(base64, 'base64')
  return raw.length === 16 && raw[6]! >> 4 === 4 && raw[8]! >> 6 === 2
}
