/**
 * A pipeline: functions of functions/, each in a runner of its own, wired by the streams that they name.
 * @module
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StreamDescriptor } from '../../../infra/control/messages/streams.ts'
import type { FunctionDefinition } from '../../../sdk/index.ts'
import type { ManifestInput } from '../../../sdk/manifest/manifest.ts'
import { partitions } from '../load/workload.ts'
import type { Place, Starter } from './place.ts'
import { type BenchFunction, type Runner, startRunner, streamOf } from './runner.ts'

const root = join(import.meta.dirname, '../../..')

/** A function as its source describes itself, and what a manifest would add. */
export async function functionIn(file: string, more: Partial<ManifestInput> = {}): Promise<BenchFunction> {
  const source = pathToFileURL(join(root, file)).href
  const { metadata } = ((await import(source)) as { default: FunctionDefinition }).default
  const istreams = Object.entries(metadata.istreams ?? {}).map(([name, input]) => [
    name,
    typeof input === 'string' ? { grouping: input } : input,
  ])
  return {
    file,
    manifest: {
      ...metadata,
      istreams: Object.fromEntries(istreams),
      ostreams: [...(metadata.ostreams ?? [])],
      ...more,
    } as ManifestInput,
  }
}

/** @param sinkOf The stream that the sink reads, if there is one. @returns By function. */
export async function startPipeline(
  place: Place,
  start: Starter,
  functions: readonly BenchFunction[],
  sinkOf?: string,
): Promise<ReadonlyMap<string, Runner>> {
  const runners = await Promise.all(
    functions.map(
      async (func): Promise<[string, Runner]> => [
        func.manifest.name,
        await startRunner(place, start, { function: func, streams: streamsOf(func, functions, sinkOf) }),
      ],
    ),
  )
  return new Map(runners)
}

function streamsOf(
  { manifest }: BenchFunction,
  functions: readonly BenchFunction[],
  sinkOf: string | undefined,
): StreamDescriptor[] {
  const names = [...Object.keys(manifest.istreams ?? {}), ...(manifest.ostreams ?? [])]
  const readersOf = (stream: string): string[] =>
    functions.filter((func) => stream in (func.manifest.istreams ?? {})).map((func) => func.manifest.name)
  return names.map((name) =>
    streamOf(name, partitions, [...readersOf(name), ...(name === sinkOf ? ['sink'] : [])]),
  )
}
