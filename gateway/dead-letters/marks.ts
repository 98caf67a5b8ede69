/**
 * Marks: which letters of a message were redriven, as JSON of `{ schema: 1, letters: { INDEX: { state, atMs } } }`.
 * @module
 */
import { z } from 'zod'

/**
 * `redriving`: claimed, and sent to the input stream or about to be. If the gateway ends in between, the mark stays,
 * and only a person may redrive the letter again.
 */
const markSchema = z.object({ state: z.enum(['redriving', 'redriven']), atMs: z.number() })
const marksSchema = z.object({
  schema: z.literal(1),
  letters: z.record(z.string().regex(/^\d+$/), markSchema),
})

export type Mark = z.output<typeof markSchema>

export interface Marks {
  /** The revision of the message with these marks; 0: there is none. */
  readonly revision: number
  readonly byIndex: ReadonlyMap<number, Mark>
}

/** @throws {Error} If the bytes are not of this form: then nothing is redriven, rather than something twice. */
export function parseMarks(bytes: Uint8Array, revision: number): Marks {
  const parsed = marksSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
  if (!parsed.success) throw new Error(`Cannot read a mark on dead letters: ${z.prettifyError(parsed.error)}`)
  const entries = Object.entries(parsed.data.letters).map(([index, mark]) => [Number(index), mark] as const)
  return { revision, byIndex: new Map(entries) }
}
