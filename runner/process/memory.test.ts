import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { giveBackMemory, takeMemory } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { type MemoryAccount, memoryAccounts } from '../../sdk/api/memory.ts'
import type { MemoryReport } from '../../sdk/api/memory-schema.ts'
import { StateStore } from '../isolate/index.ts'
import { lackText, Memory, roomIn } from './memory.ts'
import { memoryOf, roomOf, toldMemory } from './test-memory.ts'

const mib = 2 ** 20

test('Memory reports resident memory by account: state, tape, assets and the rest (ME1)', () => {
  const state = new StateStore(256 * mib)
  const assets = new Uint8Array(new SharedArrayBuffer(32 * mib)).fill(1)
  const tape = { bytes: 0 }
  const isolate = { state }
  const memory = new Memory({
    ...{ memMib: 512, clock: systemClock, assetBytes: () => assets.length },
    workers: new Map([['count-0', { tape, running: { isolate } }]]),
  })
  const before = memory.report()
  while (state.heldBytes < 64 * mib) for (const { slab } of state.add(3, mib)) new Uint8Array(slab).fill(1)
  const after = memory.report()
  const grown = (account: MemoryAccount) =>
    Math.round((after.memory.accounts[account] - before.memory.accounts[account]) / mib)
  assert.equal(after.memory.boundBytes, 512 * mib)
  assert.equal(after.memory.accounts.state, state.heldBytes)
  assert.equal(after.memory.accounts.assets, 32 * mib)
  assert.ok(Math.abs(grown('buffers')) < 8, `state is no buffer: ${grown('buffers')} MiB more of them`)
  assert.ok(grown('rest') < 16, `state is accounted for: ${grown('rest')} MiB more of the rest`)
  const sum = (report: MemoryReport) => memoryAccounts.reduce((all, name) => all + report.accounts[name], 0)
  assert.ok(sum(after.memory) >= after.rssBytes)
  assert.ok(after.memory.accounts.process > 16 * mib, 'Node itself')
})

test('Memory knows its size in a process that may open no more files', (t) => {
  const refuse = (): never => {
    throw new Error('EMFILE: too many open files, uv_resident_set_memory')
  }
  t.mock.method(process.memoryUsage, 'rss', refuse)
  t.mock.method(process, 'memoryUsage', refuse)
  const memory = new Memory({ memMib: 512, clock: systemClock, workers: new Map(), assetBytes: () => 0 })
  assert.ok(memory.bytes() > 0)
  assert.deepEqual([memory.report().rssBytes, roomIn(toldMemory()).bytes()], [memory.bytes(), memory.bytes()])
})

test('Memory frees memory kept for reuse before it refuses (ME2)', () => {
  const taken = Array.from({ length: 64 }, () => takeMemory(65_536))
  for (const bytes of taken) giveBackMemory(bytes)
  const kept = new Set(taken.map(({ buffer }) => buffer))
  const isKept = (): boolean => {
    const block = takeMemory(65_536)
    const was = kept.has(block.buffer)
    giveBackMemory(block)
    return was
  }
  let used = 10 * mib
  const memory = memoryOf(100, () => used)
  const fn = roomOf(100, () => used)
  assert.equal(fn.lacks(10 * mib), undefined)
  assert.ok(isKept(), 'there is room: nothing need go')
  used = 99 * mib
  assert.match(fn.lacks(10 * mib) ?? '', /of its bound of 100/)
  assert.ok(!isKept())
  assert.equal(memory.giveBack(), true)
  assert.equal(memory.giveBack(), false, 'not again so soon')
})

test('lackText names the bound, the memory in use by account, and a sufficient size (ME3)', () => {
  const text = lackText({
    ...{ usedBytes: 213 * mib, bytes: 24 * mib, share: 7 / 8, bytesMax: 256 * mib },
    ...{ accounts: 'process 98, tape 16 MiB', sized: { name: 'score', memMib: 256, seats: 1 } },
  })
  assert.equal(
    text,
    'the runner uses 213 MiB (process 98, tape 16 MiB) of its bound of 256, of which it may fill 224 with this: give each instance 288 MiB, by `concord fn scale score --mem 288` or resources.memMib',
  )
  const size = fc.integer({ min: 1, max: 4096 })
  const sizes = fc.record({ used: size, more: size, memMib: size, seats: fc.integer({ min: 1, max: 64 }) })
  fc.assert(
    fc.property(sizes, fc.constantFrom(0.8, 7 / 8), ({ used, more, memMib, seats }, share) => {
      const bytesMax = memMib * seats * mib
      fc.pre((used + more) * mib > bytesMax * share)
      const lack = { usedBytes: used * mib, bytes: more * mib, share, bytesMax, accounts: '' }
      const said = /--mem (\d+)/.exec(lackText({ ...lack, sized: { name: 'f', memMib, seats } }))
      assert.ok(Number(said?.[1]) * seats * share >= used + more)
    }),
  )
})
