/**
 * Manifest of an upload: the metadata in the code, completed by the author's manifest file.
 *
 * The code decides name and streams: a manifest may repeat them, and is refused if it contradicts them. For
 * everything else the manifest wins.
 * @module
 */
import * as z from 'zod'
import { documentBytesMax } from '../../infra/store/index.ts'
import { isQueueMode } from '../../sdk/manifest/back-pressure.ts'
import { isObject } from '../../sdk/manifest/changes.ts'
import { issuesText } from '../../sdk/manifest/expected.ts'
import {
  aloneMemMibMin,
  byStream,
  errorPolicySchema,
  inputSchema,
  instancesPerRunnerOf,
  type Manifest,
  manifestSchema,
  nameSchema,
  runnerMemMibMin,
} from '../../sdk/manifest/manifest.ts'
import { nearest } from '../../sdk/nearest.ts'
import { type GatewayErrorCode, refuse } from '../errors.ts'

/** Leaves room in the version document for assets and comments. */
const manifestBytesMax = documentBytesMax - 8192

const metadataSchema = z.strictObject({
  name: nameSchema,
  istreams: byStream(
    z.union([
      inputSchema.shape.grouping.transform((grouping) => ({ grouping })),
      inputSchema.partial({ backPressure: true }),
    ]),
  ).default({}),
  ostreams: z.array(nameSchema).default([]),
  onError: errorPolicySchema.optional(),
})
type Metadata = z.output<typeof metadataSchema>

/**
 * Makes the manifest that is stored.
 * @param uploaded What the author sent: an object, or undefined.
 * @throws {CodedError} ERR_METADATA_INVALID, ERR_MANIFEST_INVALID, ERR_MANIFEST_CONTRADICTS
 */
export function makeManifest(metadata: unknown, callbacks: readonly string[], uploaded: unknown): Manifest {
  const code = parse('ERR_METADATA_INVALID', "the function's metadata", metadataSchema, metadata)
  const given = parse(
    'ERR_MANIFEST_INVALID',
    'the manifest',
    z.record(z.string(), z.unknown()),
    uploaded ?? {},
  )
  refuseUnknownStreams(code, given)
  const manifest = parse('ERR_MANIFEST_INVALID', 'the manifest', manifestSchema, {
    ...(code.onError === undefined ? {} : { onError: code.onError }),
    name: code.name,
    istreams: code.istreams,
    ostreams: code.ostreams,
    ...given,
    ...(isObject(given['istreams']) && { istreams: withGroupings(given['istreams'], code) }),
  })
  refuseContradictions(code, manifest)
  refuseQueueless(manifest)
  refuseTooSmall(manifest)
  refuseScale(manifest)
  if (Object.keys(manifest.istreams).length > 0 && !callbacks.includes('processRecord')) {
    throw refuse(
      'ERR_METADATA_INVALID',
      `Cannot deploy '${manifest.name}': it reads streams but has no \`processRecord\`. Add one.`,
    )
  }
  if (Buffer.byteLength(JSON.stringify(manifest)) > manifestBytesMax) {
    throw refuse(
      'ERR_TOO_LARGE',
      `Cannot store the manifest of '${manifest.name}': its JSON is larger than ${manifestBytesMax} bytes.`,
    )
  }
  return manifest
}

/** Fills in groupings: a manifest may give an input's grouping as a plain string, or leave it to the code. */
function withGroupings(inputs: Readonly<Record<string, unknown>>, code: Metadata): Record<string, unknown> {
  const entries = Object.entries(inputs).map(([name, input]) => {
    if (typeof input === 'string') return [name, { grouping: input }]
    const { grouping } = code.istreams[name] ?? {}
    return [name, isObject(input) && grouping !== undefined ? { grouping, ...input } : input]
  })
  return Object.fromEntries(entries)
}

function parse<T>(code: GatewayErrorCode, what: string, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw refuse(code, `Cannot read ${what}: ${issuesText(parsed.error, value, schema)}`)
}

/** Before the schema is asked, which would miss the grouping of an input that is misspelt. */
function refuseUnknownStreams(
  code: Metadata,
  { istreams, ostreams }: Readonly<Record<string, unknown>>,
): void {
  refuseUnknown('input', isObject(istreams) ? Object.keys(istreams) : [], Object.keys(code.istreams))
  refuseUnknown('output', Array.isArray(ostreams) ? ostreams : [], code.ostreams)
}

function refuseUnknown(
  what: 'input' | 'output',
  written: readonly unknown[],
  known: readonly string[],
): void {
  const unknown = written.find((name) => typeof name === 'string' && !known.includes(name))
  if (typeof unknown !== 'string') return
  const meant = known.length > 1 ? nearest(unknown, known) : undefined
  const all = known.length === 0 ? 'it has none' : `it has '${known.join("', '")}'`
  throw refuse(
    'ERR_MANIFEST_CONTRADICTS',
    `Cannot deploy: '${unknown}' in the manifest is no ${what} of the code; ${all}${meant === undefined ? '.' : `. Did you mean '${meant}'?`}`,
  )
}

function refuseContradictions(code: Metadata, manifest: Manifest): void {
  const contradiction = (what: string, found: string, wanted: string) =>
    refuse(
      'ERR_MANIFEST_CONTRADICTS',
      `Cannot deploy: the manifest says ${what} ${found || '(none)'}, the code's metadata ${wanted || '(none)'}. Change one of them, or leave it out of the manifest.`,
    )
  if (manifest.name !== code.name) throw contradiction('name', `'${manifest.name}'`, `'${code.name}'`)
  const inputs = groupingsText(manifest.istreams)
  if (inputs !== groupingsText(code.istreams))
    throw contradiction('istreams', inputs, groupingsText(code.istreams))
  const outputs = [...manifest.ostreams].sort().join(', ')
  const outputsOfCode = [...code.ostreams].sort().join(', ')
  if (outputs !== outputsOfCode) throw contradiction('ostreams', outputs, outputsOfCode)
}

function groupingsText(inputs: Readonly<Record<string, { readonly grouping: string }>>): string {
  return Object.entries(inputs)
    .map(([name, { grouping }]) => `${name}: ${grouping}`)
    .sort()
    .join(', ')
}

/** @throws {CodedError} ERR_MANIFEST_INVALID */
export function refuseTooSmall(manifest: Manifest, saidMib?: number): void {
  const { name, resources } = manifest
  if (instancesPerRunnerOf(manifest) !== undefined) return
  if (resources.memMib >= aloneMemMibMin) return refuseWithoutRoom(manifest, saidMib)
  const [byHand, way] =
    saidMib === undefined
      ? ['', `Ask for ${aloneMemMibMin} or more`]
      : [', set by hand', `Set it as the manifest says by \`concord fn scale ${name} --mem ${saidMib}\``]
  throw refuse(
    'ERR_MANIFEST_INVALID',
    `Cannot deploy '${name}': resources.memMib is ${resources.memMib}${byHand}, and an instance with a runner of its own takes ${aloneMemMibMin} at least. ${way}, or let instances share runners by 'instancesPerRunner' or 'pack'.`,
  )
}

/** Refuses a limit of heap or state that cannot be reached, because the runner would exceed its memory bound first. */
function refuseWithoutRoom({ name, resources, limits }: Manifest, saidMib?: number): void {
  const roomMib = resources.memMib - runnerMemMibMin
  const [limit, what, mib] =
    limits.heapMib > limits.stateMib
      ? ['limits.heapMib', 'heap', limits.heapMib]
      : ['limits.stateMib', 'state', limits.stateMib]
  if (mib <= roomMib) return
  const byHand = saidMib === undefined ? '' : ', set by hand'
  const good = what === 'state' ? ' (twice the state and 128 is good)' : ''
  throw refuse(
    'ERR_MANIFEST_INVALID',
    `Cannot deploy '${name}': ${limit} is ${mib}, and resources.memMib of ${resources.memMib}${byHand} leaves ${roomMib} beside the runner, in which the ${what} has no room. Ask for ${mib + runnerMemMibMin} or more${good}, or lower ${limit}.`,
  )
}

function refuseScale(manifest: Manifest): void {
  const { name, scale, istreams, instances } = manifest
  if (scale === undefined) return
  if (Object.keys(istreams).length === 0) {
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot deploy '${name}': 'scale' follows the load of its inputs, and it has none. Leave 'scale' out, and say 'instances'.`,
    )
  }
  if (Object.values(istreams).every(({ grouping }) => grouping === 'broadcast')) {
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot deploy '${name}': 'scale' would find more to do with each instance more, since all of its inputs are broadcast. Leave 'scale' out, and say 'instances'.`,
    )
  }
  if (instances > scale.max) {
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot deploy '${name}': 'instances' is ${instances}, and 'scale.max' allows ${scale.max} at most. Lower 'instances', where it begins, or raise 'scale.max'.`,
    )
  }
  if (scale.idle?.warm === true && instancesPerRunnerOf(manifest) === undefined) {
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot deploy '${name}': 'scale.idle.warm' keeps a runner for instances to come back to, and each of its instances has one of its own. Add 'instancesPerRunner' (2 or more) or 'pack', or leave 'warm' out.`,
    )
  }
}

/** Refuses queue settings for inputs without a queue, and an age for a queue that is not on disk. */
function refuseQueueless({ name, istreams }: Manifest): void {
  for (const [stream, { backPressure, queueMib, queueAgeMs }] of Object.entries(istreams)) {
    const key = queueMib === undefined ? 'queueAgeMs' : 'queueMib'
    const isWrong = isQueueMode(backPressure)
      ? queueAgeMs !== undefined && backPressure !== 'enqueue'
      : queueMib !== undefined || queueAgeMs !== undefined
    if (!isWrong) continue
    const wrong = isQueueMode(backPressure) ? 'queueAgeMs' : key
    const modes = wrong === 'queueMib' ? "'enqueue', 'dropHead' or 'dropTail'" : "'enqueue'"
    throw refuse(
      'ERR_MANIFEST_INVALID',
      `Cannot deploy '${name}': input '${stream}' has ${wrong}, which goes with the back-pressure ${modes}, and asks for '${backPressure}'. Change one of them.`,
    )
  }
}
