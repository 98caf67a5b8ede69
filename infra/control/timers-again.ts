/**
 * TimersAgain: a gateway's request to a runner to set given-up timers again, and the reply. JSON with `schema` first.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import * as z from 'zod'
import { arenasMax } from '../../sdk/wire/arenas.ts'
import { jsonBytes, parsedJson } from '../json.ts'

const askSchema = z.object({
  schema: z.literal(1),
  /** The instance whose state the timers belong to. */
  instance: z.string(),
  timers: z.array(
    z.object({
      partition: z
        .int()
        .min(0)
        .max(arenasMax - 1),
      key: z.string(),
      timeMs: z.int(),
    }),
  ),
})

const answerSchema = z.discriminatedUnion('ok', [
  /** All are set, and stored if the function has checkpoints. */
  z.object({ ok: z.literal(true) }),
  /** Some may have been set. */
  z.object({ ok: z.literal(false), message: z.string() }),
])

/** `partition` is an arena's (sdk/wire/arenas.ts). */
export type TimersAsk = z.output<typeof askSchema>
export type TimersAnswer = z.output<typeof answerSchema>

export function encodeTimers(message: TimersAsk | TimersAnswer): Uint8Array {
  return jsonBytes(message)
}

/** @returns Undefined if this build cannot read it. */
export function decodeTimersAsk(bytes: Uint8Array): TimersAsk | undefined {
  return askSchema.safeParse(parsedJson(bytes)).data
}

export function decodeTimersAnswer(bytes: Uint8Array): TimersAnswer {
  const answer = answerSchema.safeParse(parsedJson(bytes)).data
  return answer ?? { ok: false, message: 'its runner answers what this build cannot read' }
}
