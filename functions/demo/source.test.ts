import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { readOptions, UsageError } from './options.ts'
import { openSource } from './source.ts'

function temporaryFile(t: TestContext, content: string | Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'concord-source-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'access.log')
  writeFileSync(path, content)
  return path
}

async function linesFrom(...args: string[]): Promise<string[]> {
  const { lines } = await openSource(readOptions(args))
  const all: string[] = []
  for await (const line of lines) all.push(line)
  return all
}

test('openSource reads a plain file and a gzip one alike, by its content and not by its name', async (t) => {
  const text = `${'a line of a log\n'.repeat(20_000)}the last one has no end`
  const plain = await linesFrom('--input', temporaryFile(t, text))
  assert.deepEqual(plain, text.split('\n'))
  assert.deepEqual(await linesFrom('--input', temporaryFile(t, gzipSync(text))), plain)
})

test('openSource reads an empty file as no lines', async (t) => {
  assert.deepEqual(await linesFrom('--input', temporaryFile(t, '')), [])
})

test('openSource says which file it cannot read, and why', async () => {
  await assert.rejects(
    linesFrom('--input', '/nowhere/access.log'),
    (error) => error instanceof UsageError && /\/nowhere\/access.log.*ENOENT/.test(error.message),
  )
})

test('openSource fails on a gzip file that is cut off, after the lines that it could read', async (t) => {
  const whole = gzipSync('line\n'.repeat(100_000))
  await assert.rejects(
    linesFrom('--input', temporaryFile(t, whole.subarray(0, whole.length - 20))),
    /unexpected end of file/,
  )
})

test('openSource generates as many lines as asked, with labels', async () => {
  const source = await openSource(readOptions(['--records', '1000', '--seed', '5']))
  assert.equal([...(source.lines as Iterable<string>)].length, 1000)
  assert.ok(source.labels!.size > 10)
})
