import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Click, Verdict } from './click.ts'
import { judge, observe, type Profile, threshold } from './model.ts'

const browser = 'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0'
const home: Click = {
  client: 'c',
  timeMs: 0,
  method: 'GET',
  path: '/',
  status: 200,
  bytes: 1,
  referrer: 'https://a.example/',
  agent: browser,
}

function verdicts(clicks: readonly Partial<Click>[]): Verdict[] {
  let profile: Profile | undefined
  return clicks.map((click) => {
    profile = observe(profile, { ...home, ...click })
    return judge('c', profile)
  })
}

/** `count` clicks, `everyMs` apart. */
const clicks = (count: number, everyMs: number, look: (index: number) => Partial<Click> = () => ({})) =>
  Array.from({ length: count }, (_, index) => ({ ...look(index), timeMs: index * everyMs }))

const last = (all: Verdict[]) => all.at(-1)!
const reasonsOf = (verdict: Verdict) => verdict.reasons.map((reason) => reason.slice(0, reason.indexOf(':')))

test('judge finds nothing against a person who reads', () => {
  for (const verdict of verdicts(clicks(100, 10_000)))
    assert.deepEqual([verdict.score, verdict.reasons], [0, []])
})

test('judge counts every request and judges by pages only', () => {
  const parts = verdicts(clicks(200, 10, () => ({ path: '/static/site.css?v=3' })))
  assert.deepEqual(last(parts), { client: 'c', count: 200, score: 0, fraud: false, reasons: [] })
})

test('judge sees rate and burst of a fast client, each alone not enough', () => {
  const fast = last(verdicts(clicks(300, 100)))
  assert.deepEqual(reasonsOf(fast), ['rate', 'burst'])
  assert.ok(fast.fraud)
  const steady = last(verdicts(clicks(300, 700)))
  assert.deepEqual(reasonsOf(steady), ['rate'])
  assert.ok(!steady.fraud)
  const volley = last(verdicts(clicks(12, 20)))
  assert.deepEqual(reasonsOf(volley), ['burst'])
  assert.ok(!volley.fraud)
})

test('judge forgives: counters fade with the time of the clicks', () => {
  const all = verdicts([...clicks(300, 100), { timeMs: 30_000 + 3_600_000 }])
  assert.ok(all.at(-2)!.fraud)
  assert.deepEqual([last(all).score, last(all).count], [0, 301])
})

test('judge weighs the agent: empty and scripted heavily, a crawler that says so lightly', () => {
  const score = (agent: string) => last(verdicts([{ agent }])).score
  assert.ok(
    score('') === score('curl/8.5.0') &&
      score('') > score('Googlebot/2.1') &&
      score('Googlebot/2.1') > score(browser),
  )
})

test('judge sees one machine that claims to be many', () => {
  const masquerade = last(
    verdicts(clicks(40, 1_500, (index) => ({ agent: `${browser} ${index % 7}`, referrer: '' }))),
  )
  assert.deepEqual(reasonsOf(masquerade), ['agents', 'referrer', 'rate'])
  assert.ok(masquerade.fraud)
})

test('judge minds pages that no link led to only when there are several', () => {
  const direct = () => ({ referrer: '' })
  assert.deepEqual(last(verdicts(clicks(2, 5_000, direct))).reasons, [])
  assert.deepEqual(reasonsOf(last(verdicts(clicks(10, 5_000, direct)))), ['referrer'])
})

const anyClick = fc.record({
  timeMs: fc.integer({ min: 0, max: 3_600_000 }),
  path: fc.constantFrom('/', '/a.css'),
  referrer: fc.constantFrom('', 'https://a.example/'),
  agent: fc.constant(browser),
})

test('observe adds late clicks as old as they are: any order gives the same counters (M3)', () => {
  const observeAll = (all: readonly Partial<Click>[]) =>
    all.reduce<Profile | undefined>((profile, click) => observe(profile, { ...home, ...click }), undefined)!
  fc.assert(
    fc.property(
      fc.array(anyClick, { minLength: 1, maxLength: 30 }),
      fc.infiniteStream(fc.double({ noNaN: true })),
      (all, order) => {
        const shuffled = all
          .map((click) => ({ click, at: order.next().value }))
          .sort((a, b) => a.at - b.at)
          .map(({ click }) => click)
        const [one, other] = [observeAll(all), observeAll(shuffled)]
        for (const counter of ['count', 'timeMs', 'rate', 'burst', 'visits', 'direct'] as const) {
          assert.ok(Math.abs(one[counter] - other[counter]) < 1e-6, counter)
        }
      },
    ),
  )
})

test('judge keeps scores within [0, 1], calls fraud from the threshold on, and its reasons add up to the score', () => {
  const agent = fc.constantFrom('', browser, 'curl/8.5.0', 'Googlebot/2.1')
  const click = fc
    .tuple(anyClick, agent)
    .map(([click, agent]) => ({ ...click, agent, timeMs: click.timeMs / 60 }))
  fc.assert(
    fc.property(fc.array(click, { minLength: 1, maxLength: 200 }), (all) => {
      for (const { score, fraud, reasons } of verdicts(all)) {
        const sum = reasons.reduce((total, reason) => total + Number(/\(\+(.*)\)$/.exec(reason)?.[1]), 0)
        assert.ok(score >= 0 && score <= 1)
        assert.equal(fraud, score >= threshold)
        assert.ok(Math.abs(Math.min(1, sum) - score) <= 0.005 * 5 + 0.001, `${sum} ${score}`)
      }
    }),
  )
})
