import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Action, Bench, owned, runFromCheckpoint, withCheckpoints } from './channel-contract.ts'

const isPoison = (number: number): boolean => number % 5 === 3

/** An owner whose connection is broken, with records that it has queued; nobody has noticed. */
async function cutOff(records: number): Promise<Bench> {
  const bench = new Bench(1)
  void bench.takeCheckpoint()
  bench.send(0, 0, 1)
  await bench.settle()
  bench.send(0, 0, records)
  await bench.deliver(1000, 1)
  bench.owner.client.break()
  return bench
}

async function killed(bench: Bench): Promise<void> {
  await bench.deliver(1000, 2)
  await turn() // what waits for nothing is stored
  await bench.endOwner('kill')
  bench.newOwner()
  await bench.settle()
}

/** What became of the records of each producer: nothing twice, and what is missing was counted. */
function assertAccount(bench: Bench): void {
  const letters = new Set(bench.letters)
  assert.equal(letters.size, bench.letters.length, `twice in the letters: ${bench.letters}`)
  for (const [index, { producer, sent }] of bench.producers.entries()) {
    const row = producer.ledger().find(({ consumer }) => consumer === 'f')!
    assert.equal(row.sent, sent[0]! + sent[1]!)
    assert.equal(row.sent, row.acked + row.unaccounted)
    let found = 0
    for (const partition of owned) {
      const seen = bench.seen.get(`${index} ${partition}`) ?? []
      assert.equal(new Set(seen).size, seen.length, `twice downstream: ${seen}`)
      const prefix = `${partition} ${index.toString(16).padStart(8, '0')}`
      found += seen.length + bench.letters.filter((id) => id.startsWith(prefix)).length
    }
    const missing = row.sent - found
    assert.ok(missing <= row.unaccounted, `missing ${missing}, unaccounted ${row.unaccounted}`)
  }
}

test('a record whose dead letter is stored does not go to the next owner, though the announcing connection broke', async () => {
  const bench = await cutOff(1)
  bench.isPoison = () => true
  bench.process(10)
  await killed(bench)
  assertAccount(bench)
  assert.equal(bench.letters.length, 1, 'the next owner has stored it')
})

test('records whose outputs were lost with a connection are counted, or are in no stored checkpoint', async () => {
  const bench = await cutOff(5)
  bench.process(10)
  void bench.takeCheckpoint()
  await killed(bench)
  assertAccount(bench)
  assert.deepEqual(
    bench.seen.get('0 0'),
    [0, 1, 2, 3, 4, 5],
    'nobody had heard of them: the next owner has done them',
  )
})

test('letters and manifests are stored once the owner has repeated what was touched', async () => {
  const bench = await cutOff(8)
  bench.isPoison = isPoison
  bench.process(10)
  void bench.takeCheckpoint()
  bench.owner.client.reconnect()
  await bench.deliver(1000, 3)
  await turn()
  assert.equal(bench.letters.length, 2)
  assert.equal(bench.checkpoint?.state.size, 7)
  await killed(bench)
  assertAccount(bench)
})

test('nothing comes twice and what is missing is counted, whatever breaks before an owner with letters and checkpoints is killed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(withCheckpoints, { minLength: 5, maxLength: 80 }), async (actions) => {
      const bench = new Bench(2, 16_384)
      bench.isPoison = isPoison
      await runFromCheckpoint(bench, actions as Action[])
      assertAccount(bench)
    }),
    { numRuns: 1000 },
  )
})
