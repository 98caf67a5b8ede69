/**
 * Heartbeats: parses heartbeats and allowance notices from the bus, and checks the fields that the scheduler relies on.
 * @module
 */
import { z } from 'zod'
import type { AllowanceNotice, Heartbeat } from '../infra/control/messages.ts'

const count = z.number().min(0)
const counts = z.record(z.string(), count)
const outputs = z.array(
  z.looseObject({
    stream: z.string(),
    consumer: z.string(),
    sent: count,
    acked: count,
    dropped: counts,
    unaccounted: count,
    allowance: count.optional(),
    parts: count.optional(),
    own: counts.optional(),
    earlier: counts.optional(),
  }),
)

const received = z.array(
  z.looseObject({
    ...{ name: z.string(), index: z.union([count, z.string()]), epoch: count },
    ...{ stream: z.string(), consumer: z.string(), partition: count },
    ...{ sent: count, acked: count, dropped: counts },
  }),
)

const exit = z.looseObject({
  code: z.int(),
  reason: z.string(),
  message: z.string(),
  instance: z.string().optional(),
})

const report = z.looseObject({
  id: z.string(),
  epoch: count,
  state: z.string(),
  recordsIn: count,
  recordsOut: count,
  errors: count,
  outputs,
  received: received.optional(),
  exit: exit.optional(),
})

const heartbeatSchema = z.looseObject({
  schema: z.literal(1),
  kind: z.enum(['runner', 'gateway', 'client']),
  id: z.string().min(1).max(200),
  generation: z.int().min(0),
  state: z.enum(['starting', 'running', 'draining', 'stopped']),
  instances: z.array(report),
  exit: exit.optional(),
  part: z.looseObject({ index: count, count }).optional(),
})

const noticeSchema = z.looseObject({
  schema: z.literal(1),
  taskId: z.string(),
  instance: z.string(),
  epoch: count,
  number: count,
  rows: z.array(
    z.looseObject({
      ...{ stream: z.string(), consumer: z.string(), allowance: count },
      ...{
        unaccounted: count.exactOptional(),
        parts: count.exactOptional(),
        earlier: counts.exactOptional(),
      },
    }),
  ),
})

/** @returns Undefined if the message is not an allowance notice. */
export function parseNotice(bytes: Uint8Array): AllowanceNotice | undefined {
  return parse(noticeSchema, bytes)
}

/** @returns Undefined if the message is not a heartbeat. */
export function parseHeartbeat(bytes: Uint8Array): Heartbeat | undefined {
  return parse(heartbeatSchema, bytes) as unknown as Heartbeat | undefined
}

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array): T | undefined {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))
  } catch {
    return undefined
  }
}
