/** What users order is carried out, once, whenever the leader is killed after it (orders.ts). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NetworkConditions, quietNetwork } from './network.ts'
import { orders, playOrder } from './orders.ts'
import { Random } from './random.ts'

/** How often each order is played for each kind of function and network; 0: once for each step. */
const plays = Number(process.env['CONCORD_ORDERS'] ?? 3)
const first = Number(process.env['CONCORD_SIMULATION_FIRST'] ?? 1)
/** Three kinds of functions (orders.ts), two ways in which a leader's end is seen, two networks. */
const seeds = Array.from({ length: 6 }, (_, i) => first + i)
const networks: readonly NetworkConditions[] = [quietNetwork, { ...quietNetwork, busMs: 400, storeMs: 300 }]

for (const [what, order] of Object.entries(orders)) {
  test(`an order is carried out once, whenever the leader is killed after it: ${what}`, {
    timeout: 3_600_000,
  }, () => {
    for (const seed of seeds)
      for (const network of networks) {
        const undisturbed = playOrder(order, seed, network, undefined)
        assert.equal(undisturbed.failure, undefined, `seed ${seed}, nobody is killed`)
        const random = new Random(seed)
        const count = plays === 0 ? undisturbed.steps : plays
        for (let i = 0; i < count; i++) {
          const after = plays === 0 ? i : random.below(undisturbed.steps)
          const { failure } = playOrder(order, seed, network, after)
          assert.equal(failure, undefined, `seed ${seed}, killed after ${after} steps`)
        }
      }
  })
}

test('an order that is forgotten when the leader is killed is found', () => {
  const failures = Array.from({ length: 40 }, (_, after) =>
    playOrder(orders['restart an instance']!, 1, quietNetwork, after, new Set(['forgets-commands'])),
  ).flatMap(({ failure }) => failure ?? [])
  assert.match(failures[0] ?? 'none', /^OD1/)
})
