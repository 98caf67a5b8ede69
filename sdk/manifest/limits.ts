/**
 * Limits: bounds and defaults of a manifest, for those who need no schema: the command line shows and sends without loading zod.
 * @module
 */

const instancesPerPackedRunnerDefault = 8
export const tapKibMax = 1024

/** Partitions of a stream that nobody has configured. */
export const partitionsDefault = 16

/** Percent of the keys that a canary has, one step after the other. */
export const canaryStepsDefault: readonly number[] = [1, 10, 50]

/** The settings of a manifest that say what shares a runner. */
interface Packing {
  readonly instancesPerRunner?: number | undefined
  readonly pack?: unknown
}

/** How many instances a runner of the function is made for; undefined if each has its own. */
export function instancesPerRunnerOf({ instancesPerRunner, pack }: Packing): number | undefined {
  if (pack !== undefined) return instancesPerRunner ?? instancesPerPackedRunnerDefault
  return instancesPerRunner === 1 ? undefined : instancesPerRunner
}
