/**
 * ConcordClient: the HTTP API as typed calls. Shapes come from sdk/api/index.ts, as types only: an answer of a gateway of
 * the same major version is taken at its word.
 *
 *  C1. Nothing is repeated but what is safe to repeat (produce.ts, P2), or what its caller asked to be; a stream that broke is opened again
 *      only for who asked for it, and what was missed meanwhile is told (follow.ts).
 * @module
 */

import type { AssetList, AssetPatch } from '../api/assets.ts'
import type { RollbackRequest } from '../api/deploy.ts'
import type { MoveAnswer } from '../api/homes.ts'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterList,
  DeployAnswer,
  FunctionDetail,
  FunctionSummary,
  LogLine,
  RedriveAnswer,
  ScaleAnswer,
  Scaling,
  StreamSummary,
  Topology,
  VersionDiff,
  VersionSummary,
  Why,
} from '../api/index.ts'
import type { ResourcesPatch } from '../api/resources.ts'
import type { ShadowDifferences } from '../api/shadow.ts'
import type { VersionSources } from '../api/sources.ts'
import { CodedError, isCode } from '../errors.ts'
import type { AssetRef } from '../manifest/assets.ts'
import { parseTap, type TapFile } from '../replay/tap.ts'
import type { ShadowDifference, ShadowView } from '../versions/shadow.ts'
import type { ClientErrorCode } from './errors.ts'
import { type FollowLine, type FollowOptions, type FollowQuery, follow } from './follow.ts'
import { errnoOf, type Request, requestJson, requestStream } from './http.ts'
import { jsonLinesOf } from './lines.ts'
import { type Produced, type ProduceOptions, produceAll } from './produce.ts'
import type { ClientRecord } from './records.ts'
import { Server } from './server.ts'

export interface ClientOptions {
  /** The gateway's, e.g. `http://127.0.0.1:8642`; of several the next one is tried where one is away. */
  readonly url: string | readonly string[]
  readonly token?: string | undefined
  /** For one answer. Default 30 s. */
  readonly timeoutMs?: number
}

export interface Bundled {
  /** An ES module without imports. */
  readonly bundle: string | Uint8Array
  readonly sourceMap?: string | Uint8Array
}

export interface OneSource {
  /** One source file, which the gateway bundles: it may import `concord` only. */
  readonly source: string | Uint8Array
  /** Its name in errors. */
  readonly file: string
}

export type Deployment = (Bundled | OneSource) & DeploymentWords

export interface DeploymentWords {
  /** What the code's metadata does not say: resources, limits, env … (docs/reference/cli.md, concord.jsonc). */
  readonly manifest: Readonly<Record<string, unknown>>
  /** By name, the sha256 of assets that were sent by `uploadAsset`; it keeps the others that it has. */
  readonly assets?: Readonly<Record<string, string>>
  /** Who deploys, and why: shown with the version. */
  readonly author?: string
  readonly message?: string
  /** So many instances, whatever it had; else a count that was changed by hand stays while the manifest's own does not change. */
  readonly instances?: number
  /** Sizes that are to be its manifest's, whatever was set by hand; else what was stays while the manifest's own does not change. */
  readonly ownSizes?: readonly ('cpus' | 'memMib' | 'diskMib')[]
  /** Ends the instances in order and starts others, even where the version could change in place. */
  readonly drain?: boolean
  /** Judges it on what came lately, beside the version at work, and changes nothing. */
  readonly dryRun?: boolean
  /** Goes on where its gate asks. */
  readonly accept?: boolean
}

export interface Abortable {
  readonly signal?: AbortSignal | undefined
}

export interface LogOptions extends Abortable {
  /** Goes on with new lines. */
  readonly follow?: boolean
  /** How many of the lines so far. Default 100. */
  readonly tail?: number
}

/** Which dead letters are meant; all that is said must hold. */
export interface DeadLetterOptions extends DeadLetterFilter {
  /** Default `waiting`: not redriven yet. */
  readonly state?: 'waiting' | 'redriven' | 'all'
  /** In one answer, at most 1000. Default 100. */
  readonly limit?: number
  /** Behind this letter: `next` of the answer before. */
  readonly after?: string
}

export interface RedriveOptions extends DeadLetterFilter {
  /** These and no others. */
  readonly ids?: readonly string[]
  /** Says what would be done. */
  readonly dryRun?: boolean
  /** Also those that a redrive has claimed and perhaps not sent. */
  readonly again?: boolean
  /** In one answer, at most and by default 10,000. */
  readonly limit?: number
  readonly after?: string
}

/** For half a gigabyte on a slow line. */
const uploadTimeoutMs = 3_600_000

export class ConcordClient {
  readonly #server: Server

  constructor({ url, token, timeoutMs = 30_000 }: ClientOptions) {
    this.#server = new Server({ urls: [url].flat(), token, timeoutMs })
  }

  /** Deploys a bundle. @throws {RefusedError} With `problem.location` where the source is at fault. */
  deploy(deployment: Deployment, { signal }: Abortable = {}): Promise<DeployAnswer> {
    const { manifest, assets, author, message, instances, ownSizes, drain, dryRun, accept } = deployment
    const body = new FormData()
    body.set('manifest', new Blob([JSON.stringify(manifest)], { type: 'application/json' }), 'manifest.json')
    const file = 'source' in deployment ? deployment.file : undefined
    if ('source' in deployment) body.set('source', blobOf(deployment.source, 'application/typescript'), file)
    else addBundle(body, deployment)
    if (assets !== undefined && Object.keys(assets).length > 0)
      body.set('assets', new Blob([JSON.stringify(assets)], { type: 'application/json' }), 'assets.json')
    const sizes = ownSizes?.length ? ownSizes.join(',') : undefined
    const query = { author, message, instances, ownSizes: sizes, drain, dryRun, accept, file }
    return this.#json({ what: 'Cannot deploy', method: 'POST', path: '/v1/functions', query, body, signal })
  }

  /** Deploys one source file, which the gateway bundles. `file` names it in errors. */
  deploySource(source: string, file: string, { signal }: Abortable = {}): Promise<DeployAnswer> {
    const type = 'application/typescript'
    return this.#json({
      what: 'Cannot deploy',
      method: 'POST',
      path: '/v1/functions',
      query: { file },
      body: source,
      type,
      signal,
    })
  }

  async functions(): Promise<FunctionSummary[]> {
    type Answer = { functions: FunctionSummary[] }
    return (await this.#json<Answer>({ what: 'Cannot list functions', path: '/v1/functions' })).functions
  }

  inspect(name: string, { signal }: Abortable = {}): Promise<FunctionDetail> {
    return this.#json({ what: `Cannot inspect function '${name}'`, path: functionPath(name), signal })
  }

  /** What an instance was last given, as text of the form that sdk/replay/tap.ts reads. */
  async tap(instance: string): Promise<TapFile> {
    const path = `/v1/instances/${encodeURIComponent(instance)}/tap`
    const answer = await this.#json<unknown>({ what: `Cannot read the tap of '${instance}'`, path })
    return parseTap(JSON.stringify(answer))
  }

  /** Why its instances are where they are, or not at work. */
  why(name: string): Promise<Why> {
    return this.#json({ what: `Cannot ask about function '${name}'`, path: `${functionPath(name)}/why` })
  }

  /** The newest first. */
  async versions(name: string): Promise<VersionSummary[]> {
    type Answer = { versions: VersionSummary[] }
    const what = `Cannot list the versions of function '${name}'`
    return (await this.#json<Answer>({ what, path: `${functionPath(name)}/versions` })).versions
  }

  diff(name: string, from: number, to: number): Promise<VersionDiff> {
    const what = `Cannot compare versions of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/diff`, query: { from, to } })
  }

  /** The code of a version, as its author wrote it where a source map came with it; or what runs. */
  sources(name: string, version: number, kind: VersionSources['kind'] = 'source'): Promise<VersionSources> {
    const what = `Cannot read the code of function '${name}' v${version}`
    return this.#json({ what, path: `${functionPath(name)}/versions/${version}/sources`, query: { kind } })
  }

  /** Goes back to an earlier version, by default the last one before the present that ran and that nobody has gone back from. */
  rollback(name: string, options: RollbackRequest = {}): Promise<DeployAnswer> {
    const what = `Cannot roll function '${name}' back`
    const body = JSON.stringify(options)
    const path = `${functionPath(name)}/rollback`
    return this.#json({ what, method: 'POST', path, body, type: 'application/json' })
  }

  /** What was found of a version as a shadow; by default of the one that is one now, else of the newest that was. */
  shadow(name: string, version?: number): Promise<ShadowView> {
    const what = `Cannot show a shadow of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/shadow`, query: { version } })
  }

  /** The records that a shadow made something else of, one by one. */
  async *shadowDifferences(name: string, version?: number): AsyncGenerator<ShadowDifference> {
    const what = `Cannot list what a shadow of function '${name}' made otherwise`
    const path = `${functionPath(name)}/shadow/differences`
    for (let after: number | undefined = 0; after !== undefined; ) {
      const query = { version, after }
      const answer: ShadowDifferences = await this.#json({ what, path, query })
      yield* answer.differences
      after = answer.next
    }
  }

  /** Brings a version into force that was a shadow, by default the one that is one now, else the newest that was. */
  promote(name: string, options: { readonly to?: number } = {}): Promise<DeployAnswer> {
    const what = `Cannot promote a version of function '${name}'`
    const body = JSON.stringify(options)
    return this.#json({
      what,
      method: 'POST',
      path: `${functionPath(name)}/promote`,
      body,
      type: 'application/json',
    })
  }

  /** The assets of a function's wanted version. */
  assets(name: string): Promise<AssetList> {
    const what = `Cannot list the assets of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/assets` })
  }

  /** Makes a version with other assets: by name, the sha256 of one that was sent, or null to take the name away. */
  changeAssets(name: string, patch: AssetPatch): Promise<DeployAnswer> {
    const what = `Cannot change the assets of function '${name}'`
    const path = `${functionPath(name)}/assets`
    const body = JSON.stringify(patch)
    return this.#json({ what, method: 'PATCH', path, body, type: 'application/json' })
  }

  /** What is there under a hash; it then stays for an hour at least. */
  async assetContent(sha256: string): Promise<AssetRef | undefined> {
    try {
      return await this.#json<AssetRef>({ what: 'Cannot ask for an asset', path: `/v1/assets/${sha256}` })
    } catch (error) {
      if (isCode(error, 'ERR_ASSET_UNKNOWN')) return undefined
      throw error
    }
  }

  /** Sends bytes under the hash that they have. */
  uploadAsset(sha256: string, bytes: Blob, { signal }: Abortable = {}): Promise<AssetRef> {
    const what = 'Cannot send an asset'
    const path = `/v1/assets/${sha256}`
    const type = 'application/octet-stream'
    return this.#json({ what, method: 'PUT', path, body: bytes, type, timeoutMs: uploadTimeoutMs, signal })
  }

  async remove(name: string): Promise<void> {
    await this.#json({ what: `Cannot remove function '${name}'`, method: 'DELETE', path: functionPath(name) })
  }

  /** Sets how many instances a function should have; partitions are handed over, nothing is restarted. */
  scale(name: string, instances: number): Promise<ScaleAnswer> {
    return this.#scale(name, { instances })
  }

  /** Leaves how many to the function's policy again. */
  autoscale(name: string): Promise<ScaleAnswer> {
    return this.#scale(name, { auto: true })
  }

  /** Moves partitions to an instance, with state and timers; they stay there as long as it is wanted. */
  move(name: string, partitions: readonly number[], to: string): Promise<MoveAnswer> {
    return this.#move(name, { partitions, to })
  }

  /** Lets partitions that were moved, by default all of them, go back to where their number puts them. */
  moveBack(name: string, partitions?: readonly number[]): Promise<MoveAnswer> {
    return this.#move(name, { ...(partitions && { partitions }), back: true })
  }

  /** Makes a version whose instances get other resources. */
  changeResources(name: string, patch: ResourcesPatch): Promise<DeployAnswer> {
    const what = `Cannot change the resources of function '${name}'`
    const path = `${functionPath(name)}/resources`
    const body = JSON.stringify(patch)
    return this.#json({ what, method: 'PATCH', path, body, type: 'application/json' })
  }

  /** Why a function has as many instances as it has. */
  scaling(name: string): Promise<Scaling> {
    const what = `Cannot ask how function '${name}' is scaled`
    return this.#json({ what, path: `${functionPath(name)}/scaling` })
  }

  #move(name: string, wish: object): Promise<MoveAnswer> {
    const what = `Cannot move partitions of function '${name}'`
    const path = `${functionPath(name)}/partitions`
    return this.#json({ what, method: 'PATCH', path, body: JSON.stringify(wish), type: 'application/json' })
  }

  #scale(name: string, wish: object): Promise<ScaleAnswer> {
    const what = `Cannot scale function '${name}'`
    const path = `${functionPath(name)}/instances`
    return this.#json({ what, method: 'PUT', path, body: JSON.stringify(wish), type: 'application/json' })
  }

  /** Yields log lines, oldest first. */
  logs(name: string, { follow, tail, signal }: LogOptions = {}): AsyncGenerator<LogLine> {
    const what = `Cannot read the logs of function '${name}'`
    return this.#lines({ what, path: `${functionPath(name)}/logs`, query: { follow, tail }, signal })
  }

  /** Stops one instance, drained; the wanted count falls by one unless `restart` replaces it. */
  async kill(id: string, { restart = false }: { readonly restart?: boolean } = {}): Promise<void> {
    const path = `/v1/instances/${encodeURIComponent(id)}`
    await this.#json({ what: `Cannot kill instance '${id}'`, method: 'DELETE', path, query: { restart } })
  }

  async streams(): Promise<StreamSummary[]> {
    type Answer = { streams: StreamSummary[] }
    return (await this.#json<Answer>({ what: 'Cannot list streams', path: '/v1/streams' })).streams
  }

  async createStream(
    name: string,
    config: { readonly partitions?: number; readonly raw?: boolean } = {},
  ): Promise<void> {
    const what = `Cannot create stream '${name}'`
    const body = JSON.stringify(config)
    await this.#json({ what, method: 'PUT', path: streamPath(name), body, type: 'application/json' })
  }

  /** Removes a stream that nobody uses. */
  async removeStream(name: string): Promise<void> {
    await this.#json({ what: `Cannot remove stream '${name}'`, method: 'DELETE', path: streamPath(name) })
  }

  /** Sends records in order; waits where the gateway asks for it, or is away. @throws {ProduceError} Says how many were accepted. */
  produce(stream: string, records: readonly ClientRecord[], options: ProduceOptions = {}): Promise<Produced> {
    return produceAll(this.#server, stream, records, options)
  }

  /**
   * Yields what passes through a stream from now on: first the event `ready`, then records, and gaps as events. Where it was opened
   * again (`resumeMs`) `ready` comes once more.
   */
  follow(stream: string, options: FollowOptions = {}): AsyncGenerator<FollowLine> {
    const what = `Cannot follow stream '${stream}'`
    const path = `${streamPath(stream)}/records`
    const { signal } = options
    const open = (query: FollowQuery) => this.#lines<FollowLine>({ what, path, query: { ...query }, signal })
    return follow(this.#server, open, options)
  }

  /** Dead letters, oldest first, without the values of their records. */
  deadLetters(options: DeadLetterOptions = {}): Promise<DeadLetterList> {
    return this.#json({ what: 'Cannot list dead letters', path: '/v1/dead-letters', query: { ...options } })
  }

  /** A dead letter with its record and the whole error. */
  deadLetter(id: string): Promise<DeadLetter> {
    const path = `/v1/dead-letters/${encodeURIComponent(id)}`
    return this.#json({ what: `Cannot show dead letter '${id}'`, path })
  }

  /** Gives the records of dead letters back to their input streams. An answer with `next` did a part. */
  redrive(options: RedriveOptions = {}): Promise<RedriveAnswer> {
    const body = JSON.stringify(options)
    const path = '/v1/dead-letters/redrive'
    return this.#json({
      ...{ what: 'Cannot redrive dead letters', method: 'POST', path, body },
      type: 'application/json',
    })
  }

  topology(): Promise<Topology> {
    return this.#json({ what: 'Cannot read the topology', path: '/v1/topology' })
  }

  #json<Answer>(request: Request): Promise<Answer> {
    return requestJson<Answer>(this.#server, request)
  }

  async *#lines<T>(request: Request): AsyncGenerator<T> {
    const body = await requestStream(this.#server, request)
    try {
      yield* jsonLinesOf<T>(body)
    } catch (cause) {
      if (cause instanceof CodedError || request.signal?.aborted) throw cause
      const text = `${request.what} any further: the connection to ${this.#server.url} broke (${errnoOf(cause)})`
      throw new CodedError<ClientErrorCode>('ERR_CONNECTION_LOST', text, { cause })
    }
  }
}

function functionPath(name: string): string {
  return `/v1/functions/${encodeURIComponent(name)}`
}

function streamPath(name: string): string {
  return `/v1/streams/${encodeURIComponent(name)}`
}

function addBundle(body: FormData, { bundle, sourceMap }: Bundled): void {
  body.set('bundle', blobOf(bundle, 'text/javascript'), 'bundle.js')
  if (sourceMap !== undefined) body.set('sourceMap', blobOf(sourceMap, 'application/json'), 'bundle.js.map')
}

function blobOf(data: string | Uint8Array, type: string): Blob {
  return new Blob([data as string | Uint8Array<ArrayBuffer>], { type })
}
