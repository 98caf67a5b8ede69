/**
 * Problem: the body of an error answer of the HTTP API.
 * @module
 */
import * as z from 'zod'
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
  /**
   * For a refused `POST …/records`: how many of its records, from the first, were accepted and must not be sent
   * again.
   */
  accepted: z.int().optional(),
  /** For a deploy that its gate has stopped: the findings. */
  gate: gateReportSchema.optional(),
})
export type Problem = z.output<typeof problemSchema>
