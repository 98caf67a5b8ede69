/**
 * Topology: what the producers of each stream must know about it, computed from the functions and their documents.
 *
 * A function that is changing from one version to another consumes the inputs of both: while a task of the old
 * version may own a partition, the stream must wait for it.
 * @module
 */
import { consumersOf, holdersOf, type Reader } from '../../../infra/control/index.ts'
import {
  type ConsumerDescriptor,
  isKeyed,
  type StreamDescriptor,
} from '../../../infra/control/messages/streams.ts'
import type { FollowerDocument, StreamDocument } from '../../../infra/store/index.ts'
import type { Grouping } from '../../../sdk/index.ts'
import { type Manifest, partitionsDefault } from '../../../sdk/manifest/manifest.ts'

export interface TopologyInput {
  /** The manifests in force; for each function the wanted one comes first. */
  readonly manifests: readonly Manifest[]
  /** By function: the instances that count as consumers of a broadcast input. */
  readonly readers: ReadonlyMap<string, readonly Reader[]>
  /** By function: when it was created. */
  readonly createdAtMs?: ReadonlyMap<string, number>
  readonly streams: ReadonlyMap<string, Pick<StreamDocument, 'partitions'>>
  /** By stream, then by follower id: the followers that hold the stream back. */
  readonly followers: ReadonlyMap<string, ReadonlyMap<string, Pick<FollowerDocument, 'instead'>>>
}

/** The streams that a function reads and writes. */
export function streamsOf({ istreams, ostreams }: Manifest): string[] {
  return [...new Set([...Object.keys(istreams), ...ostreams])]
}

/** Describes every stream that a manifest names or a document configures. */
export function describeStreams(input: TopologyInput): Map<string, StreamDescriptor> {
  const names = new Set([...input.streams.keys(), ...input.manifests.flatMap(streamsOf)])
  return new Map([...names].sort().map((name) => [name, describeStream(name, input)]))
}

function describeStream(name: string, input: TopologyInput): StreamDescriptor {
  const consumers = new Map<string, ConsumerDescriptor>()
  const groupings: Grouping[] = []
  for (const manifest of input.manifests) {
    const consumed = manifest.istreams[name]
    if (consumed === undefined) continue
    groupings.push(consumed.grouping)
    const { name: functionName } = manifest
    const readers = input.readers.get(functionName) ?? []
    const found = consumersOf(functionName, consumed, readers, input.createdAtMs?.get(functionName))
    for (const consumer of found) if (!consumers.has(consumer.name)) consumers.set(consumer.name, consumer)
  }
  for (const follower of holdersOf(input.followers.get(name) ?? new Map()))
    consumers.set(follower.name, follower)
  return {
    name,
    partitions: input.streams.get(name)?.partitions ?? partitionsDefault,
    keyed: isKeyed(groupings),
    consumers: [...consumers.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}
