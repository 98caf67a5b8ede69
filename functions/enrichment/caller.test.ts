/**
 * The function and the program of docs/enrichment.md on a real platform, with an API that first fails.
 * @module
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { isRecord } from 'concord/client'
import { Platform } from '../demo/platform.ts'

const here = (name: string) => new URL(name, import.meta.url)

test('caller answers what enrich asks, also after a call that failed', { timeout: 280_000 }, async (t) => {
  const calls: string[] = []
  const api = createServer(({ url = '' }, response) => {
    const address = url.slice('/country/'.length)
    const isFirst = !calls.includes(address)
    calls.push(address)
    response.writeHead(address === 'b' && isFirst ? 503 : 200).end(`country of ${address}`)
  }).listen(0, '127.0.0.1')
  await once(api, 'listening')
  t.after(() => api.close())

  const platform = await Platform.create()
  t.after(() => platform.close())
  const client = await platform.start()
  const ending = new AbortController()
  t.after(() => ending.abort())
  await platform.deploy(here('enrich.ts'), [], ending.signal)
  const { url, token } = JSON.parse(readFileSync(join(platform.home, 'client.json'), 'utf8'))
  const caller = spawn(process.execPath, [here('caller.ts').pathname], {
    env: {
      ...process.env,
      ...{ CONCORD_URL: url, CONCORD_TOKEN: token },
      API_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}/country/`,
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  })
  t.after(() => caller.kill())
  let said = ''
  caller.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  while (!said.includes('"ready"')) await once(caller.stderr, 'data')

  const enriched = client.follow('enriched', { hold: true, count: 3, signal: ending.signal })
  assert.equal(isRecord((await enriched.next()).value!), false, 'it is ready')
  await client.produce('visits', [
    { key: 'a', value: '/1' },
    { key: 'b', value: '/2' },
    { key: 'a', value: '/3' },
  ])
  const came: unknown[] = []
  for await (const line of enriched) if (isRecord(line)) came.push([line.key, JSON.parse(line.value!)])
  const expected = [
    ['a', { page: '/1', country: 'country of a' }],
    ['a', { page: '/3', country: 'country of a' }],
    ['b', { page: '/2', country: 'country of b' }],
  ]
  assert.deepEqual(came, expected, 'b came last: it was asked for again')
  assert.match(said, /no answer for b: Error: the API answered 503/)
})

test('docs/enrichment.md shows the function and the program as they are', () => {
  const page = readFileSync(here('../../docs/enrichment.md'), 'utf8')
  for (const file of ['enrich.ts', 'caller.ts']) {
    const code = readFileSync(here(file), 'utf8').replace(/^\/\*\*.*?\*\/\n/s, '')
    assert.ok(page.includes(`\`\`\`ts\n// functions/enrichment/${file}\n${code}\`\`\``), file)
  }
})
