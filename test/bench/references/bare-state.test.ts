import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defineFunction, groupBy, type State } from '../../../sdk/index.ts'
import { testKit } from '../../../sdk/testkit/index.ts'
import { BareState } from './bare-state.ts'

type Step = (state: State) => unknown

const at = fc.nat(40)
const shape = { size: 10, every: 5 }
const step: fc.Arbitrary<Step> = fc.oneof(
  at.map((by) => (state: State) => state.counter('c').add(by)),
  fc.constant((state: State) => state.counter('c').delete()),
  at.map((item) => (state: State) => state.list<number>('l').push(item)),
  fc.constant((state: State) => state.list<number>('l').shift()),
  fc.integer({ min: -3, max: 3 }).map((index) => (state: State) => state.list<number>('l').at(index)),
  fc.constant((state: State) => [state.list('l').length, ...state.list('l').items()]),
  at.map((when) => (state: State) => state.windows('w', shape).add(when)),
  at.map((when) => (state: State) => state.windows('w', shape).of(when)),
  fc.nat(8).map((pane) => (state: State) => state.windows('w', shape).sum(5 * pane)),
  at.map((when) => (state: State) => state.windows('w', shape).sumUntil(when)),
  fc.tuple(at, at).map(
    ([since, until]) =>
      (state: State) =>
        state.windows('w', shape).ended(since, until),
  ),
  at.map((json) => (state: State) => state.setJson('j', { json })),
  fc.constant((state: State) => state.getJson('j')),
  fc.constant((state: State) => state.deleteState('j')),
)

test('BareState answers what the state of a function answers', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const bare = new BareState()
      const expected: unknown[] = []
      const definition = defineFunction({
        metadata: { name: 'steps', istreams: { in: groupBy } },
        processRecord(ctx) {
          for (const one of steps) expected.push(one(ctx))
        },
      })
      const kit = testKit(definition)
      kit.send('in', 'k', '')
      assert.deepEqual(
        steps.map((one) => one(bare)),
        expected,
      )
    }),
    { numRuns: 50 },
  )
})
