/**
 * Limits: bounds and defaults of a manifest and of requests, for those who need no schema: the command line shows and sends without loading zod.
 * @module
 */

const instancesPerPackedRunnerDefault = 8
export const tapKibMax = 1024
/** What a gateway takes of code, as a bundle or as one source file, and of a bundle's source map, which has the sources in it. */
export const bundleBytesMax = 10 * 1024 * 1024
export const sourceMapBytesMax = 40 * 1024 * 1024
/** Lines of a log that one request may ask for. */
export const logTailMax = 10_000

/** The number of partitions of a stream that nobody has configured. */
export const partitionsDefault = 16

/** The default steps of a canary, in percent of the keys. */
export const canaryStepsDefault: readonly number[] = [1, 10, 50]

/** The settings of a manifest that decide which instances share a runner. */
interface Packing {
  readonly instancesPerRunner?: number | undefined
  readonly pack?: unknown
}

/** The number of instances that a runner of the function is made for; undefined if each instance has its own. */
export function instancesPerRunnerOf({ instancesPerRunner, pack }: Packing): number | undefined {
  if (pack !== undefined) return instancesPerRunner ?? instancesPerPackedRunnerDefault
  return instancesPerRunner === 1 ? undefined : instancesPerRunner
}
