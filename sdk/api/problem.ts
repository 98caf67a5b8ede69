/**
 * Problem: what an error of the HTTP API is answered as.
 * @module
 */
import { z } from 'zod'
import { gateReportSchema } from '../versions/gate.ts'

/** RFC 9457, with our code and what to do. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  /** Where in the uploaded source, where known. */
  location: z.object({ file: z.string(), line: z.int(), column: z.int() }).optional(),
  /** Of a refused `POST …/records`: how many of its records, from the first, were taken and must not be sent again. */
  accepted: z.int().optional(),
  /** Of a deploy that its gate has held up: what was found. */
  gate: gateReportSchema.optional(),
})
export type Problem = z.output<typeof problemSchema>
