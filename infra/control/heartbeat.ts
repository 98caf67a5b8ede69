/**
 * Heartbeat: reads heartbeats and allowance notices, whose senders are trusted less than those who listen.
 *
 *   HB1. What is read has all that a listener walks through. Fields that it lacks or does not know are left as they are,
 *        so that builds of different age understand each other.
 * @module
 */
import * as z from 'zod'
import { parsedJson } from '../json.ts'
import type { AllowanceNotice } from './messages/accounts.ts'
import type { Heartbeat } from './messages/heartbeat.ts'

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
    lagMs: count.optional(),
    own: counts.optional(),
    earlier: counts.optional(),
  }),
)

const inputs = z.array(
  z.looseObject({
    ...{ stream: z.string(), received: z.number(), processed: z.number(), dropped: counts },
    ...{ repeats: z.number(), gaps: z.number(), stateLost: z.number(), refused: counts },
    lost: counts.optional(),
  }),
)

/** What a sum has come to is left unread: JSON has no word for one beyond all numbers. */
const observed = z.looseObject({ buckets: z.array(z.tuple([count, count])) })
const metric = z.union([
  z.looseObject({ name: z.string(), kind: z.literal('count') }),
  observed.extend({ name: z.string(), kind: z.literal('observe') }),
])

const received = z.array(
  z.looseObject({
    ...{ name: z.string(), index: z.union([count, z.string()]), epoch: count },
    ...{ stream: z.string(), consumer: z.string(), partition: count },
    ...{ sent: count, acked: count, inHand: count.optional(), dropped: counts },
  }),
)

const exit = z.looseObject({
  code: z.int(),
  reason: z.string(),
  message: z.string(),
  instance: z.string().optional(),
})

const report = z.looseObject({
  ...{ id: z.string(), function: z.string(), epoch: count, state: z.string() },
  ...{ recordsIn: count, recordsOut: count, errors: count, outputs, inputs },
  work: z.looseObject({ elapsedMs: z.number(), calls: observed.optional() }).optional(),
  metrics: z.array(metric).optional(),
  received: received.optional(),
  exit: exit.optional(),
})

const heartbeatSchema = z.looseObject({
  schema: z.literal(1),
  kind: z.enum(['runner', 'gateway']),
  id: z.string().min(1).max(200),
  generation: z.int().min(0),
  state: z.enum(['starting', 'running', 'draining', 'stopped']),
  instances: z.array(report),
  outputs: outputs.optional(),
  ingestEpoch: count.optional(),
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
  return schema.safeParse(parsedJson(bytes)).data
}
