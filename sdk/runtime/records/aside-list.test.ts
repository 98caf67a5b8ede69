import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { policyOf, waitAfter } from '../../manifest/policy.ts'
import { AsideList, type Waiting } from './aside-list.ts'

const step = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    line: fc.constantFrom(undefined, 'a', 'b'),
    tried: fc.nat(1),
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.nat(500) }),
  fc.record({
    kind: fc.constant('take' as const),
    most: fc.integer({ min: 1, max: 3 }),
    how: fc.array(fc.nat(2)),
  }),
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Two that fell due one after the other are put back: the later one must not hide the earlier. */
const twoPutBack: Step[] = [
  { kind: 'add', line: undefined, tried: 0 },
  { kind: 'time', ms: 1 },
  { kind: 'add', line: undefined, tried: 0 },
  { kind: 'take', most: 2, how: [2, 2] },
]

test('AsideList loses nothing, gives nothing twice, and gives nothing before its time or its turn (AL1, AL2)', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
      const policy = policyOf({ retry: 9, then: 'skip', waitMs: 50, waitMaxMs: 120 })
      const list = new AsideList<number>((attempts) => waitAfter(attempts, policy))
      let nowMs = 0
      let next = 0
      const waiting: { id: number; line: string | undefined; dueMs: number }[] = []
      const isFirst = (id: number): boolean => {
        const { line } = waiting.find((each) => each.id === id)!
        return line === undefined || waiting.find((each) => each.line === line)!.id === id
      }
      for (const each of steps) {
        if (each.kind === 'time') nowMs += each.ms
        else if (each.kind === 'add') {
          const first = each.line === undefined || !waiting.some(({ line }) => line === each.line)
          const attempts = each.line !== undefined && !first ? 0 : each.tried
          list.add({ item: next, line: each.line, bytes: 1, attempts }, nowMs)
          waiting.push({ id: next, line: each.line, dueMs: nowMs + (attempts === 0 ? 0 : 50) })
          next++
        } else {
          const due = waiting.filter(({ id, dueMs }) => dueMs <= nowMs && isFirst(id))
          const taken: Waiting<number>[] = list.take(nowMs, each.most)
          assert.equal(taken.length, Math.min(due.length, each.most))
          for (const [i, one] of taken.entries()) {
            const known = waiting.findIndex(({ id }) => id === one.item)
            assert.ok(known >= 0 && waiting[known]!.dueMs <= nowMs && isFirst(one.item))
            const how = each.how[i] ?? 0
            if (how === 0) {
              list.done(one, nowMs)
              const [{ line }] = waiting.splice(known, 1) as [(typeof waiting)[number]]
              const follower = line === undefined ? undefined : waiting.find((other) => other.line === line)
              if (follower !== undefined) follower.dueMs = nowMs
            } else if (how === 1) {
              list.again(one, nowMs)
              waiting[known]!.dueMs = nowMs + waitAfter(one.attempts, policy)
            } else list.putBack(one)
          }
        }
        assert.equal(list.size, waiting.length)
        assert.equal(list.bytes, waiting.length)
        const firsts = waiting.filter(({ id }) => isFirst(id)).map(({ dueMs }) => dueMs)
        assert.equal(list.nextDueMs, Math.min(Number.POSITIVE_INFINITY, ...firsts))
      }
    }),
    { examples: [[twoPutBack]] },
  )
})
