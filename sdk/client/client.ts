/**
 * ConcordClient: the HTTP API as typed calls. Shapes are imported from sdk/api/index.ts as types only: answers of a
 * gateway of the same major version are not checked.
 *
 *   C1. Only safe requests are repeated (produce.ts, P2), or those that the caller asked to repeat. A broken stream
 *       is reopened only on request, and missed records are reported (follow.ts).
 * @module
 */

import type { AssetList, AssetPatch } from '../api/assets.ts'
import type { DeployQuery, RollbackRequest } from '../api/deploy.ts'
import type {
  DeadLetter,
  DeadLetterList,
  DeployAnswer,
  FunctionDetail,
  FunctionSummary,
  LogLine,
  RedriveAnswer,
  RemoveLettersAnswer,
  ScaleAnswer,
  Scaling,
  StreamPut,
  StreamSummary,
  Topology,
  VersionDiff,
  VersionSummary,
  Why,
} from '../api/index.ts'
import type { MoveAnswer } from '../api/moved.ts'
import type { StreamDetail } from '../api/readers.ts'
import type { ResourcesPatch } from '../api/resources.ts'
import type { ShadowDifferences } from '../api/shadow.ts'
import type { VersionSources } from '../api/sources.ts'
import type { FunctionState, StateQuery } from '../api/state.ts'
import { CodedError, isCode } from '../errors.ts'
import type { AssetRef } from '../manifest/assets.ts'
import { parseTap, type TapFile } from '../replay/tap.ts'
import type { ShadowDifference, ShadowView } from '../versions/shadow.ts'
import type { ClientErrorCode } from './errors.ts'
import { type FollowLine, type FollowOptions, type FollowQuery, follow } from './follow.ts'
import { errnoOf, type Request, requestJson, requestStream } from './http.ts'
import { jsonLinesOf } from './lines.ts'
import type {
  Abortable,
  Bundled,
  ClientOptions,
  DeadLetterOptions,
  Deployment,
  LogOptions,
  RedriveOptions,
  RemoveLettersOptions,
  StateOptions,
} from './options.ts'
import { type Produced, type ProduceOptions, produceAll } from './produce.ts'
import { base64, type ClientRecord } from './records.ts'
import { Server } from './server.ts'

/** Enough for half a gigabyte on a slow line. */
const uploadTimeoutMs = 3_600_000
/** Always sent: servers of earlier builds, which list nothing, refuse it. */
const listedDefault = 100

export class ConcordClient {
  readonly #server: Server

  constructor({ url, token, timeoutMs = 30_000 }: ClientOptions) {
    this.#server = new Server({ urls: [url].flat(), token, timeoutMs })
  }

  /** Deploys a bundle. @throws {RefusedError} With `problem.location` if the source is at fault. */
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
    const settings = { author, message, instances, ownSizes: sizes, drain, dryRun, accept }
    const query = { ...settings, file } satisfies Record<keyof DeployQuery, unknown>
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

  /** The tap of an instance, in the form that sdk/replay/tap.ts reads. */
  async tap(instance: string): Promise<TapFile> {
    const path = `/v1/instances/${encodeURIComponent(instance)}/tap`
    const answer = await this.#json<unknown>({
      what: `Cannot read the tap of '${instance}'`,
      path,
      isSlow: true,
    })
    return parseTap(JSON.stringify(answer))
  }

  /** What the state of a function has under a key, or a page of what is stored. */
  state(name: string, { key, limit = listedDefault, ...list }: StateOptions = {}): Promise<FunctionState> {
    const what = `Cannot read the state of function '${name}'`
    const named = typeof key === 'object' ? { keyBase64: base64(key) } : { key }
    const isList = key === undefined && limit > 0
    const query = { ...named, ...list, ...(isList && { limit }) } satisfies StateQuery // without `limit`: no list
    return this.#json({ what, path: `${functionPath(name)}/state`, query, isSlow: true })
  }

  /** Why the function's instances are on their agents, or do not run. */
  why(name: string): Promise<Why> {
    return this.#json({ what: `Cannot ask about function '${name}'`, path: `${functionPath(name)}/why` })
  }

  /** The function's versions, newest first. */
  async versions(name: string): Promise<VersionSummary[]> {
    type Answer = { versions: VersionSummary[] }
    const what = `Cannot list the versions of function '${name}'`
    return (await this.#json<Answer>({ what, path: `${functionPath(name)}/versions` })).versions
  }

  diff(name: string, from: number, to: number): Promise<VersionDiff> {
    const what = `Cannot compare versions of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/diff`, query: { from, to } })
  }

  /** The code of a version: the author's sources if a source map was uploaded, else the bundle. */
  sources(name: string, version: number, kind: VersionSources['kind'] = 'source'): Promise<VersionSources> {
    const what = `Cannot read the code of function '${name}' v${version}`
    return this.#json({ what, path: `${functionPath(name)}/versions/${version}/sources`, query: { kind } })
  }

  /** Rolls back, by default to the last earlier version that ran and was not rolled back from. */
  rollback(name: string, options: RollbackRequest = {}): Promise<DeployAnswer> {
    const what = `Cannot roll function '${name}' back`
    return this.#json({ what, method: 'POST', path: `${functionPath(name)}/rollback`, json: options })
  }

  /** The findings about a shadow, by default the current one, else the newest former one. */
  shadow(name: string, version?: number): Promise<ShadowView> {
    const what = `Cannot show a shadow of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/shadow`, query: { version } })
  }

  /** Yields the records for which a shadow gave other outputs. */
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

  /** Promotes a shadow, by default the current one, else the newest former one. */
  promote(name: string, options: { readonly to?: number } = {}): Promise<DeployAnswer> {
    const what = `Cannot promote a version of function '${name}'`
    return this.#json({ what, method: 'POST', path: `${functionPath(name)}/promote`, json: options })
  }

  /** The assets of a function's wanted version. */
  assets(name: string): Promise<AssetList> {
    const what = `Cannot list the assets of function '${name}'`
    return this.#json({ what, path: `${functionPath(name)}/assets` })
  }

  /** Makes a version with other assets: by name, the sha256 of an uploaded asset, or null to remove the name. */
  changeAssets(name: string, patch: AssetPatch): Promise<DeployAnswer> {
    const what = `Cannot change the assets of function '${name}'`
    return this.#json({ what, method: 'PATCH', path: `${functionPath(name)}/assets`, json: patch })
  }

  /** The asset with a hash, if it was uploaded; it is then kept for at least an hour. */
  async assetContent(sha256: string): Promise<AssetRef | undefined> {
    try {
      return await this.#json<AssetRef>({ what: 'Cannot ask for an asset', path: `/v1/assets/${sha256}` })
    } catch (error) {
      if (isCode(error, 'ERR_ASSET_UNKNOWN')) return undefined
      throw error
    }
  }

  /** Uploads an asset under its own hash. */
  uploadAsset(sha256: string, bytes: Blob, { signal }: Abortable = {}): Promise<AssetRef> {
    const what = 'Cannot send an asset'
    const path = `/v1/assets/${sha256}`
    const type = 'application/octet-stream'
    return this.#json({ what, method: 'PUT', path, body: bytes, type, timeoutMs: uploadTimeoutMs, signal })
  }

  /**
   * Removes a function once its instances have drained.
   * @param options `drop`: also if records are in flight to it, which are lost then; without it, that is refused (409).
   */
  async remove(name: string, { drop }: { readonly drop?: boolean } = {}): Promise<void> {
    const what = `Cannot remove function '${name}'`
    await this.#json({ what, method: 'DELETE', path: functionPath(name), query: { drop: drop || undefined } })
  }

  /** Sets how many instances a function should have; partitions are handed over, nothing is restarted. */
  scale(name: string, instances: number): Promise<ScaleAnswer> {
    return this.#scale(name, { instances })
  }

  /** Removes a pin: the function's policy scales it again. */
  autoscale(name: string): Promise<ScaleAnswer> {
    return this.#scale(name, { auto: true })
  }

  /** Moves partitions to an instance, with state and timers; they stay there as long as it is wanted. */
  move(name: string, partitions: readonly number[], to: string): Promise<MoveAnswer> {
    return this.#move(name, { partitions, to })
  }

  /** Returns moved partitions, by default all of them, to their usual instances. */
  moveBack(name: string, partitions?: readonly number[]): Promise<MoveAnswer> {
    return this.#move(name, { ...(partitions && { partitions }), back: true })
  }

  /** Makes a version whose instances get other resources. */
  changeResources(name: string, patch: ResourcesPatch): Promise<DeployAnswer> {
    const what = `Cannot change the resources of function '${name}'`
    return this.#json({ what, method: 'PATCH', path: `${functionPath(name)}/resources`, json: patch })
  }

  /** The reasons for the function's number of instances. */
  scaling(name: string): Promise<Scaling> {
    const what = `Cannot ask how function '${name}' is scaled`
    return this.#json({ what, path: `${functionPath(name)}/scaling` })
  }

  #move(name: string, wish: object): Promise<MoveAnswer> {
    const what = `Cannot move partitions of function '${name}'`
    return this.#json({ what, method: 'PATCH', path: `${functionPath(name)}/partitions`, json: wish })
  }

  #scale(name: string, wish: object): Promise<ScaleAnswer> {
    const what = `Cannot scale function '${name}'`
    return this.#json({ what, method: 'PUT', path: `${functionPath(name)}/instances`, json: wish })
  }

  /** Yields log lines, oldest first. */
  logs(name: string, { follow, tail, signal, onOpen }: LogOptions = {}): AsyncGenerator<LogLine> {
    const what = `Cannot read the logs of function '${name}'`
    const request = { what, path: `${functionPath(name)}/logs`, query: { follow, tail }, signal }
    return this.#lines(request, onOpen)
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

  /** A stream, and for each reader how many of its records wait. */
  inspectStream(name: string): Promise<StreamDetail> {
    return this.#json({ what: `Cannot inspect stream '${name}'`, path: streamPath(name) })
  }

  /** Creates a stream, or changes whether it is also published raw. Resolves to the stream as it is now. */
  createStream(
    name: string,
    config: { readonly partitions?: number; readonly raw?: boolean } = {},
  ): Promise<StreamPut> {
    const what = `Cannot create stream '${name}'`
    return this.#json({ what, method: 'PUT', path: streamPath(name), json: config })
  }

  /** Removes a stream that no function or reader uses. */
  async removeStream(name: string): Promise<void> {
    await this.#json({ what: `Cannot remove stream '${name}'`, method: 'DELETE', path: streamPath(name) })
  }

  /**
   * Sends records in order; waits if the gateway asks for it or cannot be reached.
   * @throws {ProduceError} With the number of accepted records.
   */
  produce(stream: string, records: readonly ClientRecord[], options: ProduceOptions = {}): Promise<Produced> {
    return produceAll(this.#server, stream, records, options)
  }

  /**
   * Yields what passes through a stream from now on: first the event `ready`, then records, and gaps as events. After
   * a reconnection (`resumeMs`), `ready` comes again.
   */
  follow(stream: string, options: FollowOptions = {}): AsyncGenerator<FollowLine> {
    const what = `Cannot follow stream '${stream}'`
    const path = `${streamPath(stream)}/records`
    const { signal, hold: isSlow } = options // the stream has to hear of the reader first
    const open = (query: FollowQuery) =>
      this.#lines<FollowLine>({ what, path, query: { ...query }, isSlow, signal })
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

  /** Sends the records of dead letters back to their input streams. An answer with `next` covers a part. */
  redrive(options: RedriveOptions = {}): Promise<RedriveAnswer> {
    const [what, path] = ['Cannot redrive dead letters', '/v1/dead-letters/redrive']
    return this.#json({ what, method: 'POST', path, json: options })
  }

  /** Removes dead letters: say which. An answer with `next` covers a part. */
  removeDeadLetters(options: RemoveLettersOptions): Promise<RemoveLettersAnswer> {
    const [what, path] = ['Cannot remove dead letters', '/v1/dead-letters/remove']
    return this.#json({ what, method: 'POST', path, json: options })
  }

  topology(): Promise<Topology> {
    return this.#json({ what: 'Cannot read the topology', path: '/v1/topology' })
  }

  #json<Answer>(request: Request): Promise<Answer> {
    return requestJson<Answer>(this.#server, request)
  }

  async *#lines<T>(request: Request, onOpen?: () => void): AsyncGenerator<T> {
    const body = await requestStream(this.#server, request)
    onOpen?.()
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
