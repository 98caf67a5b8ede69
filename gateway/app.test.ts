import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { Problem } from '../sdk/api/index.ts'
import { makeApp } from './app.ts'
import { openPaths } from './http/auth.ts'
import { makeMetrics } from './metrics.ts'
import type { GatewayParts } from './parts.ts'
import { type Platform, startPlatform, token } from './testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

test('App answers only health and the OpenAPI document without the token, on any route (A1)', async () => {
  const { routes } = makeApp({ metrics: makeMetrics('test') } as GatewayParts, token)
  const real = routes.filter(({ method }) => method !== 'ALL')
  assert.ok(real.length >= 15)
  for (const { method, path } of [...real, { method: 'GET', path: '/nothing/here' }]) {
    const concrete = path.replaceAll(/:(\w+)/g, 'a-0')
    for (const headers of [
      {},
      { authorization: 'Bearer wrong' },
      { authorization: token },
      { authorization: 'Basic YTpi' },
    ]) {
      const response = await fetch(platform.gateway.url + concrete, { method, headers })
      await response.body?.cancel()
      if (openPaths.has(path)) assert.equal(response.status, 200, `${method} ${path}`)
      else assert.equal(response.status, 401, `${method} ${path}`)
    }
  }
})

test('App returns errors as problem+json (A2)', async () => {
  const unauthorized = await fetch(`${platform.gateway.url}/v1/functions`)
  assert.equal(unauthorized.headers.get('www-authenticate'), 'Bearer')
  const unknown = await platform.call('GET', '/v1/nothing')
  const problem = (await unknown.json()) as Problem
  assert.equal(unknown.headers.get('content-type'), 'application/problem+json')
  assert.deepEqual([unknown.status, problem.status, problem.code], [404, 404, 'ERR_ROUTE_UNKNOWN'])
  const bad = await platform.call('GET', '/v1/functions/Bad%20Name')
  const { code, detail } = (await bad.json()) as Problem
  assert.deepEqual([bad.status, code], [400, 'ERR_REQUEST_INVALID'])
  assert.match(
    detail,
    /^Cannot use the name in the path: expected a lower-case name: .*, found "Bad Name"\.$/,
  )
})

test('App refuses a query parameter that the route does not know (A3)', async () => {
  const said = async (method: string, path: string) => {
    const answer = (await (await platform.call(method, path)).json()) as Partial<Problem>
    return [answer.code, answer.detail]
  }
  assert.deepEqual(await said('GET', '/v1/streams?foo=x&bar'), [
    'ERR_REQUEST_INVALID',
    "Cannot read the request's query: unknown key 'foo', 'bar'; GET /v1/streams takes none.",
  ])
  const [code, detail] = await said('GET', '/v1/dead-letters?state=all&foo=x')
  assert.equal(code, 'ERR_REQUEST_INVALID')
  assert.match(detail ?? '', /unknown key 'foo'; GET \/v1\/dead-letters takes .*\bstate\b/)
  assert.match((await said('POST', '/v1/functions/f/rollback?to=1'))[1] ?? '', /unknown key 'to'/)
  assert.equal((await platform.call('GET', '/v1/dead-letters?state=all')).status, 200)
  assert.equal((await platform.call('GET', '/healthz?probe=1')).status, 200)
})

test('App ends a JSON answer with a line break (A4), and answers in JSON what is no HTTP', async () => {
  const { gateway } = platform
  assert.equal(await (await fetch(`${gateway.url}/healthz`)).text(), '{"ok":true}\n')
  assert.match(await (await fetch(`${gateway.url}/v1/functions`)).text(), /}\n$/)
  const said = async (request: string) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    socket.end(request)
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    assert.match(head, new RegExp(`content-length: ${body.length}$`))
    const { status, code, detail } = JSON.parse(body) as Problem
    assert.ok(head.startsWith(`HTTP/1.1 ${status} `))
    return `${status} ${code} ${detail}`
  }
  assert.match(
    await said('HELLO\r\n\r\n'),
    /^400 ERR_REQUEST_INVALID Cannot read the request: it is not HTTP: /,
  )
  assert.match(
    await said(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`),
    /^431 .* its header is larger than 16 KiB\.$/,
  )
})

interface OpenApi {
  openapi: string
  paths: Record<string, Record<string, { security?: unknown[]; responses: Record<string, unknown> }>>
  components: { schemas: Record<string, object> }
}

test('App serves an OpenAPI 3.1 document of exactly its routes', async () => {
  const document = (await (await fetch(`${platform.gateway.url}/v1/openapi.json`)).json()) as OpenApi
  assert.equal(document.openapi, '3.1.0')
  const { routes } = makeApp({ metrics: makeMetrics('test') } as GatewayParts, token)
  const real = routes.filter(({ method, path }) => method !== 'ALL' && path !== '/v1/openapi.json')
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const expected = new Set(real.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`))
  assert.deepEqual(new Set(described), expected)
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods)) {
      assert.equal(operation.security !== undefined, !openPaths.has(path), path)
    }
  }
  assert.ok('Problem' in document.components.schemas)
})

test('App shows metrics to a caller with the token', async () => {
  const response = await platform.call('GET', '/metrics')
  assert.equal(response.status, 200)
  assert.match(await response.text(), /concord_http_request_seconds_count\{[^}]*route="\/v1\/openapi.json"/)
})

test('App is ready while NATS and the store answer', async () => {
  assert.deepEqual(await (await fetch(`${platform.gateway.url}/readyz`)).json(), { ok: true })
})

test('App is not ready while NATS is frozen, though its connections live, and is again after that', async (t) => {
  const frozen = await startPlatform()
  const { nats, wire, gateway } = frozen
  t.after(() => {
    process.kill(nats.pid, 'SIGCONT')
    return frozen.close()
  })
  process.kill(nats.pid, 'SIGSTOP')
  const response = await fetch(`${gateway.url}/readyz`)
  assert.equal(wire.connected, true)
  assert.equal(response.status, 503)
  assert.match(((await response.json()) as { detail: string }).detail, /NATS does not answer/)
  const metrics = await (await frozen.call('GET', '/metrics')).text()
  const up = metrics.matchAll(/^concord_gateway_backend_up\{backend="(\w+)".*\} (\d)$/gm)
  assert.deepEqual(
    [...up].map(([, backend, value]) => [backend, value]),
    [
      ['nats', '0'],
      ['jetstream', '0'],
      ['store', '1'],
    ],
  )
  process.kill(nats.pid, 'SIGCONT')
  assert.equal((await fetch(`${gateway.url}/readyz`)).status, 200)
})
