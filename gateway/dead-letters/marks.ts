/**
 * Marks: what became of the letters of one message, as JSON of `{ schema: 1, letters: { INDEX: { state, atMs } } }`.
 * @module
 */
import { z } from 'zod'

/**
 * `redriving`: claimed, and given to the input stream or about to be. Should the gateway end in between, it stays so, and
 * nobody but a person gives the letter again.
 */
const markSchema = z.object({ state: z.enum(['redriving', 'redriven']), atMs: z.number() })
const marksSchema = z.object({
  schema: z.literal(1),
  letters: z.record(z.string().regex(/^\d+$/), markSchema),
})

export type Mark = z.output<typeof markSchema>

export interface Marks {
  /** Of the message that says so; 0: there is none. */
  readonly revision: number
  readonly byIndex: ReadonlyMap<number, Mark>
}

/** @throws {Error} If it is not as above: then nothing is redriven, rather than twice. */
export function parseMarks(bytes: Uint8Array, revision: number): Marks {
  const parsed = marksSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
  if (!parsed.success) throw new Error(`Cannot read a mark on dead letters: ${z.prettifyError(parsed.error)}`)
  const entries = Object.entries(parsed.data.letters).map(([index, mark]) => [Number(index), mark] as const)
  return { revision, byIndex: new Map(entries) }
}
