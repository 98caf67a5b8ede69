/**
 * Marks: which letters of a message were redriven or removed, as JSON of `{ schema, letters: { INDEX: { state, atMs } } }`.
 * Once all letters of a message are removed, `all` says so instead, in few bytes: there may be no room for more. Schema
 * 1 knows no removed letters; builds that know no other refuse 2.
 * @module
 */
import * as z from 'zod'

/**
 * `redriving`: claimed, and sent to the input stream or about to be. If the gateway ends in between, the mark stays,
 * and only a person may redrive the letter again. `removed`: gone for everybody.
 */
const markSchema = z.object({ state: z.enum(['redriving', 'redriven', 'removed']), atMs: z.number() })
const marksSchema = z.object({
  schema: z.union([z.literal(1), z.literal(2)]),
  letters: z.record(z.string().regex(/^\d+$/), markSchema),
  all: markSchema.optional(),
})

export type Mark = z.output<typeof markSchema>

export interface Marks {
  /** The revision of the message with these marks; 0: there is none. */
  readonly revision: number
  readonly byIndex: ReadonlyMap<number, Mark>
  /** The mark of every letter. The message is deleted, or about to be. */
  readonly all?: Mark | undefined
}

export const noMarks: Marks = { revision: 0, byIndex: new Map() }

export function markOf({ all, byIndex }: Marks, index: number): Mark | undefined {
  return all ?? byIndex.get(index)
}

export function encodeMarks({ byIndex, all }: Omit<Marks, 'revision'>): string {
  if (all !== undefined) return JSON.stringify({ schema: 2, letters: {}, all })
  const schema = [...byIndex.values()].some(({ state }) => state === 'removed') ? 2 : 1
  return JSON.stringify({ schema, letters: Object.fromEntries(byIndex) })
}

/** @throws {Error} If the bytes are not of this form: then nothing is redriven, rather than something twice. */
export function parseMarks(bytes: Uint8Array, revision: number): Marks {
  const parsed = marksSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
  if (!parsed.success) throw new Error(`Cannot read a mark on dead letters: ${z.prettifyError(parsed.error)}`)
  const { letters, all } = parsed.data
  const entries = Object.entries(letters).map(([index, mark]) => [Number(index), mark] as const)
  return { revision, byIndex: new Map(entries), all }
}
