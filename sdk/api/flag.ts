/**
 * Flag: a query parameter that is true or false.
 * @module
 */
import * as z from 'zod'

/** `?flag` and `?flag=true` are true. */
export const flagQuery = z
  .enum(['true', 'false', ''])
  .optional()
  .transform((text) => text === 'true' || text === '')
