import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { storeContract } from './contract.ts'
import { openStore, tryHold, tryLock } from './index.ts'

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-store-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

storeContract('SqliteStore', async (t) => ({
  url: `sqlite:${join(await folder(t), 'made', 'store.sqlite')}`,
}))

test('openStore refuses a URL of an unknown kind', async () => {
  await assert.rejects(openStore('redis://x'), { code: 'ERR_STORE_URL', message: /expected sqlite:PATH/ })
})

test('openStore names a file that is not a store', async (t) => {
  const file = join(await folder(t), 'store.sqlite')
  await writeFile(file, 'this is not a database, and long enough to be looked at as one'.repeat(20))
  await assert.rejects(openStore(`sqlite:${file}`), { code: 'ERR_STORE_FAILED', message: new RegExp(file) })
})

test('SqliteStore waits for another writer without blocking the event loop, and gives up with a reason', async (t) => {
  const file = join(await folder(t), 'store.sqlite')
  const store = await openStore(`sqlite:${file}`)
  t.after(() => store.close())
  const writer = new DatabaseSync(file)
  t.after(() => writer.close())
  writer.exec('BEGIN IMMEDIATE')
  let turns = 0
  const turn = setInterval(() => turns++, 1)
  t.after(() => clearInterval(turn))
  await assert.rejects(store.create('/a', 1), { code: 'ERR_STORE_BUSY' })
  assert.ok(turns > 50, `the event loop turned ${turns} times`)

  const waiting = store.create('/a', 1)
  setImmediate(() => writer.exec('ROLLBACK'))
  assert.equal(await waiting, 0)
})

test('SqliteStore reports a full disk with an error, and keeps its data', async (t) => {
  const file = join(await folder(t), 'store.sqlite')
  const script = `
    import { openStore } from '${new URL('./index.ts', import.meta.url)}'
    const store = await openStore('sqlite:${file}')
    const codes = new Set()
    for (let i = 0; i < 100; i++) {
      await store.create('/n' + i, 'x'.repeat(10_000)).catch((error) => codes.add(error.code))
    }
    const first = await store.get('/n0')
    console.log(JSON.stringify({ codes: [...codes], kept: first.value.length, fewer: (await store.list('/')).length < 100 }))`
  // A limit on the size of files stands for the disk: the system call fails in the same place.
  const limited = `trap '' XFSZ; ulimit -f 512; exec "$0" --disable-warning=ExperimentalWarning --input-type=module -e "$1"`
  const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, script])
  assert.deepEqual(JSON.parse(stdout), { codes: ['ERR_STORE_FAILED'], kept: 10_000, fewer: true })
})

test('tryLock gives the lock to one holder at a time, and counts holders', async (t) => {
  const path = join(await folder(t), 'lock')
  const first = tryLock(path)
  assert.equal(first?.epoch, 1)
  assert.equal(tryLock(path), undefined)
  assert.equal(tryLock(path), undefined)
  first.release()
  const second = tryLock(path)
  assert.equal(second?.epoch, 2)
  second.release()
})

test('tryHold keeps out whoever wants the lock, with an epoch or without', async (t) => {
  const path = join(await folder(t), 'lock')
  for (const take of [tryHold, tryLock]) {
    const held = take(path)
    assert.deepEqual([tryHold(path), tryLock(path)], [undefined, undefined])
    held!.release()
  }
  tryHold(path)!.release()
})
