/** The runner's archive, for the cluster's fetcher: authorized by the signature in the path, not by the token. */
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { Clock } from '../../infra/clock.ts'
import { type RunnerArchive, verifyPath } from '../../infra/runner-archive/index.ts'
import { refuse } from '../errors.ts'
import type { App } from '../http/routes.ts'

export interface RunnerDownload {
  readonly archive: RunnerArchive
  /** The key of the signatures. */
  readonly key: string
}

/** Comes before the check of the token. */
export function runnerRoute(app: App, download: RunnerDownload, clock: Clock): void {
  app.get('/v1/runner/:end/:signature/:name', (c) => {
    const name = verifyPath(c.req.path, download.key, clock.nowMs())
    if (name === undefined)
      throw refuse(
        'ERR_UNAUTHORIZED',
        'Not allowed: this URL of a runner is not signed by a scheduler of this platform, or its time is over.',
      )
    const { archive } = download
    if (name !== archive.name)
      throw refuse(
        'ERR_ROUTE_UNKNOWN',
        `There is no runner '${name}' here: this gateway serves ${archive.name}. Give all of them the same runnerArchive.file.`,
      )
    const headers = { 'content-type': 'application/gzip', 'content-length': String(archive.bytes) }
    if (c.req.raw.method === 'HEAD') return c.body(null, 200, headers)
    const body = Readable.toWeb(createReadStream(archive.path)) as ReadableStream<Uint8Array>
    return c.body(body, 200, headers)
  })
}
