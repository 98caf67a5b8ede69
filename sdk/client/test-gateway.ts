/**
 * TestGateway: a scripted HTTP server on a real socket, for what a real gateway does only in trouble (429 in the
 * middle of a body, a connection that breaks, an answer that never comes). It is test equipment.
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Received {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

/** Answers one request: with a status and JSON, or by handling the response itself. */
export type Script = (
  request: Received,
  response: ServerResponse,
) => { status: number; json: unknown; headers?: Record<string, string> } | undefined

export interface TestGateway {
  readonly url: string
  readonly received: readonly Received[]
  close(): Promise<void>
}

export async function startTestGateway(script: Script): Promise<TestGateway> {
  const received: Received[] = []
  const server = createServer(async (incoming, response) => {
    const { method = '', url: path = '', headers } = incoming
    const request = { method, path, headers, body: await buffer(incoming) }
    received.push(request)
    const answer = script(request, response)
    if (answer === undefined) return
    response
      .writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
      .end(JSON.stringify(answer.json))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A problem document's answer. */
export function problem(status: number, code: string, detail: string, more: Record<string, unknown> = {}) {
  return { status, json: { type: 'about:blank', title: '', status, code, detail, ...more } }
}
