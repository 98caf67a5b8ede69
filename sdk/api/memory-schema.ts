/**
 * MemorySchema: the shape of a runner's memory account, apart from memory.ts, which whoever shows it loads without zod.
 * @module
 */
import * as z from 'zod'
import { memoryAccounts } from './memory.ts'

export const memorySchema = z.object({
  /** The bound of the process: beyond it, the watchdog ends it. */
  boundBytes: z.number(),
  /** Their sum is the resident memory, or a little more: requested memory may not be touched yet. */
  accounts: z.record(z.enum(memoryAccounts), z.number()),
})
export type MemoryReport = z.output<typeof memorySchema>
