/**
 * Resources: changes of resources in the HTTP API.
 * @module
 */
import * as z from 'zod'
import { resourcesSchema } from '../manifest/manifest.ts'
import { annotations } from './deploy.ts'

/** New resources for each instance; what is left out stays. */
export const resourcesPatchSchema = z
  .strictObject({
    cpus: resourcesSchema.shape.cpus.unwrap().optional(),
    memMib: resourcesSchema.shape.memMib.unwrap().optional(),
    diskMib: resourcesSchema.shape.diskMib.unwrap().optional(),
    ...annotations,
    /** Drain the instances and start others, instead of starting new ones beside them. */
    drain: z.boolean().default(false),
  })
  .refine(
    ({ cpus, memMib, diskMib }) => (cpus ?? memMib ?? diskMib) !== undefined,
    'expected one of cpus, memMib and diskMib',
  )
export type ResourcesPatch = z.input<typeof resourcesPatchSchema>
