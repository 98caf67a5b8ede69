import assert from 'node:assert/strict'
import { test } from 'node:test'
import { differenceOf, type Told } from './difference.ts'

/** Of a function with two inputs, the second of which has two partitions only. */
const partitionsOf = (share: number) =>
  new Map([['a', [share]], ...(share < 2 ? [['b', [share]] as const] : [])])

function difference(owned: readonly number[], partitions: readonly number[], more: Partial<Told> = {}) {
  const of = (shares: readonly number[]) => ({ a: shares, b: shares.filter((share) => share < 2) })
  const { gone, come } = differenceOf(of(owned), { partitions: of(partitions), ...more }, partitionsOf)
  return { gone: Object.fromEntries(gone), come: Object.fromEntries(come) }
}

test('differenceOf keeps a share that is to be given until it is asked for, and an awaited share that was taken', () => {
  const awaited = [{ share: 1, epoch: 4, task: 't', instance: 'f-0' }]
  const nothing = { gone: {}, come: {} }
  assert.deepEqual(difference([0], [0]), nothing)
  assert.deepEqual(difference([0, 3], [0], { giving: [{ share: 3, epoch: 4 }] }), nothing)
  assert.deepEqual(difference([0], [0], { awaited }), nothing, 'it is to be asked for')
  assert.deepEqual(
    difference([0, 1], [0], { awaited }),
    nothing,
    'it has come, and nobody has heard of that yet',
  )
})

test('differenceOf gives up shares that nobody asks for, and takes shares that nobody has', () => {
  assert.deepEqual(difference([0, 1, 3], [0]), { gone: { a: [1, 3], b: [1] }, come: {} })
  assert.deepEqual(difference([0], [0, 1, 2]), { gone: {}, come: { a: [1, 2], b: [1] } })
})
