import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8Read } from '../realm/utf8.ts'
import { type Arena, faultsOf, type OldEntry, OwnSlabs, openArena, partKind } from './index.ts'
import { copyOf } from './testing.ts'

const counterPart = { kind: partKind.counter, number: 0 }

/** Entries of a format are text that says so: `FORMAT:content`. */
function migrationTo(own: number) {
  return ({ value }: OldEntry, from: number): string => {
    const [format, content] = utf8Read(value).split(':')
    assert.equal(Number(format), from, 'migrate is told whose format it is given')
    return `${own}:${content}`
  }
}

function useAs(
  arena: Arena,
  own: number,
  kept: number,
  alone: boolean,
  before: readonly number[] = [],
): void {
  arena.useFormat({ own, kept, before, alone, migrate: migrationTo(own) })
}

/** What the version at work should see: a copy of its own over what the good one has. */
interface View {
  readonly base: Map<string, string>
  /** `undefined`: deleted. */
  readonly over: Map<string, string | undefined>
}

const copyOfView = ({ base, over }: View): View => ({ base: new Map(base), over: new Map(over) })

type Step =
  | { readonly kind: 'set' | 'get' | 'delete' | 'add'; readonly key: number }
  | { readonly kind: 'many'; readonly count: number }
  | { readonly kind: 'tidy'; readonly effort: number }
  | { readonly kind: 'deploy' | 'promote' | 'overtake' | 'leap' | 'fail' | 'switch' | 'keys' }
  | { readonly kind: 'commit' | 'rollback' | 'crash' }

const key = fc.nat({ max: 12 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('set', 'get', 'delete', 'add'), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('many'), count: fc.integer({ min: 1, max: 700 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('tidy'), effort: fc.integer({ min: 1, max: 12_000 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'deploy',
        'promote',
        'overtake',
        'leap',
        'fail',
        'switch',
        'keys',
        'commit',
        'rollback',
        'crash',
      ),
    }),
  },
) as fc.Arbitrary<Step>

/** One arena under versions that come and go: `good` is promoted, `next` is on trial or a canary. */
class Rollout {
  readonly slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  arena: Arena = openArena(this.slabs)
  good = 1
  /** Those that were good before. */
  readonly before: number[] = []
  next: number | undefined
  /** Which of both is at work. */
  isNext = false
  view: View = { base: new Map(), over: new Map() }
  committed: View = copyOfView(this.view)
  #count = 0
  #versions = 1

  get own(): number {
    return this.isNext ? this.next! : this.good
  }

  seen(name: string): string | undefined {
    const { base, over } = this.view
    return this.isNext && over.has(name) ? over.get(name) : base.get(name)
  }

  put(name: string, content: string | undefined): void {
    const { base, over } = this.view
    if (!this.isNext) content === undefined ? base.delete(name) : base.set(name, content)
    else if (content === undefined && !base.has(name)) over.delete(name)
    else over.set(name, content)
  }

  set(name: string): void {
    const content = `${'x'.repeat(this.#count % 90)}${this.#count++}`
    this.arena.set(name, `${this.own}:${content}`)
    this.put(name, content)
  }

  get(name: string): void {
    const content = this.seen(name)
    assert.equal(this.arena.has(name), content !== undefined)
    assert.equal(this.arena.getText(name), content === undefined ? undefined : `${this.own}:${content}`)
    if (content !== undefined) this.put(name, content) // migrated: a copy of its own from now on
  }

  /** Others are opened, as after a change of isolates. */
  use(alone: boolean): void {
    this.commit()
    useAs(this.arena, this.own, this.good, alone, this.before)
  }

  promote(): void {
    this.before.push(this.good)
    this.good = this.next!
    this.next = undefined
    this.isNext = false
    const { base, over } = this.view
    for (const [name, content] of over) content === undefined ? base.delete(name) : base.set(name, content)
    over.clear()
  }

  commit(): void {
    this.arena.commit()
    this.arena.rest()
    this.committed = copyOfView(this.view)
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'set':
      case 'get':
        return this[step.kind](`key ${step.key}`)
      case 'delete': {
        const name = `key ${step.key}`
        const there = this.seen(name) !== undefined
        assert.equal(this.arena.delete(name), there)
        if (there) this.put(name, undefined)
        return
      }
      case 'add': {
        const name = `number ${step.key}`
        const before = Number(this.seen(name) ?? 0)
        assert.equal(this.arena.addNumber(`key ${step.key}`, 3, undefined, counterPart), before + 3)
        return this.put(name, String(before + 3))
      }
      case 'many':
        for (let i = 0; i < step.count; i++) this.set(`many ${i}`)
        return
      case 'keys':
        return this.verifyKeys()
      case 'tidy':
        this.commit()
        if (this.arena.leftovers?.isUntidy && this.arena.tidy(step.effort)) this.arena.commit()
        return
      case 'deploy':
        if (this.next !== undefined) return
        this.next = ++this.#versions
        this.isNext = true
        return this.use(false)
      case 'switch':
        if (this.next === undefined) return
        this.isNext = !this.isNext
        return this.use(false)
      case 'promote':
        if (this.next === undefined) return
        this.promote()
        return this.use(true)
      case 'overtake':
        // Promoted, but killed before anybody said so here; it comes back with the next one.
        if (this.next === undefined) return
        this.commit()
        this.promote()
        this.next = ++this.#versions
        this.isNext = true
        this.arena = openArena(this.slabs)
        useAs(this.arena, this.own, this.good, false, this.before)
        return this.commit()
      case 'leap':
        // The next one was promoted as well before this one was opened again.
        if (this.next === undefined) return
        this.commit()
        this.promote()
        this.next = ++this.#versions
        this.promote()
        this.arena = openArena(this.slabs)
        return this.use(true)
      case 'fail':
        if (this.next === undefined) return
        this.next = undefined
        this.isNext = false
        this.view.over.clear()
        return this.use(true)
      case 'commit':
        return this.commit()
      case 'rollback':
        this.arena.rollback()
        this.view = copyOfView(this.committed)
        return
      case 'crash':
        this.arena = openArena(this.slabs)
        this.view = copyOfView(this.committed)
        return useAs(this.arena, this.own, this.good, this.next === undefined, this.before)
    }
  }

  verifyKeys(): void {
    const { base, over } = this.view
    const names = [...new Set([...base.keys(), ...over.keys()])]
    const is = (prefix: string) => (name: string) =>
      !name.startsWith('number') === (prefix === '') && this.seen(name) !== undefined
    const keysOf = (kind?: number) => [...this.arena.keys(kind)].map((each) => utf8Read(each)).sort()
    assert.deepEqual(keysOf(), names.filter(is('')).sort())
    assert.deepEqual(
      keysOf(partKind.counter),
      names
        .filter(is('number'))
        .map((name) => name.replace('number', 'key'))
        .sort(),
    )
  }

  /** Every key as the version at work reads it. */
  verify(): void {
    this.commit()
    this.verifyKeys()
    const { base, over } = this.view
    for (const name of new Set([...base.keys(), ...over.keys()])) {
      if (name.startsWith('number'))
        assert.equal(
          this.arena.getNumber(name.replace('number', 'key'), counterPart) ?? 0,
          Number(this.seen(name) ?? 0),
        )
      else this.get(name)
    }
    this.commit()
    assert.deepEqual(faultsOf(this.slabs), [])
  }
}

test('Arena shows each version its own state, with every key readable, through promotions, rollbacks, crashes and canaries', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 90, size: 'max' }), (steps) => {
      const rollout = new Rollout()
      useAs(rollout.arena, 1, 1, true)
      for (const each of steps) rollout.take(each)
      rollout.verify()
      rollout.take({ kind: 'fail' })
      rollout.verify()
    }),
    { numRuns: Number(process.env['CONCORD_FORMAT_RUNS'] ?? 100) },
  )
})

test('Arena settles a format that was promoted while nobody was there to be told, and begins the next one over it', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  arena.set('a', '1:one')
  arena.set('b', '1:one')
  arena.commit()
  useAs(arena, 2, 1, true)
  arena.set('a', '2:two')
  arena.delete('b')
  arena.commit()
  const restored = openArena(copyOf(slabs)) // v2 has been promoted meanwhile, and v4 deployed
  useAs(restored, 4, 2, false)
  assert.deepEqual([restored.getText('a'), restored.getText('b')], ['4:two', undefined])
  restored.commit()
  useAs(restored, 2, 2, true) // v4 has failed
  assert.deepEqual([restored.getText('a'), restored.getText('b')], ['2:two', undefined])
})

test('Arena keeps what a format has that was promoted, and was followed by another one, while nobody opened it', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  for (const key of ['a', 'b', 'c']) arena.set(key, '1:one')
  arena.commit()
  useAs(arena, 2, 1, true)
  arena.set('a', '2:two')
  arena.delete('b')
  arena.commit()
  for (const alone of [false, true]) {
    const restored = openArena(copyOf(slabs)) // v2, v3 and v5 have been promoted meanwhile
    useAs(restored, 5, 5, alone, [1, 2, 3])
    assert.deepEqual([restored.getText('a'), restored.getText('b')], ['5:two', undefined])
    assert.equal(restored.getText('c'), '5:one')
  }
  const other = openArena(copyOf(slabs)) // v2 was taken back
  useAs(other, 5, 5, true, [1, 3])
  assert.deepEqual([other.getText('a'), other.getText('b')], ['5:one', '5:one'])
})

test('Arena.tidy migrates untouched entries and forgets the old format, and then the arena takes no more than before', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  useAs(arena, 1, 1, true)
  for (let i = 0; i < 3000; i++) arena.set(`key ${i}`, `1:${i}`)
  arena.addNumber('count', 5, undefined, counterPart)
  arena.commit()
  const { entries } = arena
  useAs(arena, 2, 1, true)
  for (let i = 0; i < 1000; i++) arena.getText(`key ${i}`)
  arena.delete('key 1')
  arena.commit()
  assert.equal(arena.entries, entries + 1000, 'on trial the old entries stay')
  assert.equal(arena.leftovers?.isUntidy, false)
  useAs(arena, 2, 2, true)
  assert.ok(arena.leftovers?.isMigrating)
  for (let passes = 0; arena.leftovers?.isUntidy; passes++) {
    assert.ok(passes < 1000, 'it ends')
    if (arena.tidy(128)) arena.commit()
  }
  assert.equal(arena.leftovers?.isMigrating, false)
  assert.equal(arena.entries, entries - 1)
  const migrate = (): string => assert.fail('nothing is left to migrate')
  arena.useFormat({ own: 2, kept: 2, alone: true, migrate })
  for (let i = 2; i < 3000; i++) assert.equal(arena.getText(`key ${i}`), `2:${i}`)
  assert.equal(arena.getNumber('count', counterPart), 5)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.tidy does as much as it is told, and a crowded arena has room for another format afterwards', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  useAs(arena, 1, 1, true)
  for (let i = 0; i < 1000; i++) arena.set(`key ${i}`, `1:${i}`)
  arena.commit()
  let own = 1
  while (arena.leftovers?.isCrowded !== true) {
    assert.ok(own < 20, 'it is crowded at last')
    useAs(arena, ++own, own, true)
    arena.set(`of ${own}`, `${own}:x`)
    arena.commit()
  }
  assert.equal(own, 15)
  useAs(arena, own + 1, own, true)
  assert.throws(() => arena.set('a', 'b'), /there are entries of 15 others/)
  arena.rollback()
  useAs(arena, own, own, true)
  let migrated = 0
  const migrate = (entry: OldEntry, from: number): string => {
    migrated++
    return migrationTo(own)(entry, from)
  }
  arena.useFormat({ own, kept: own, alone: true, migrate })
  let calls = 0
  for (let most = 0; arena.leftovers?.isUntidy; calls++) {
    const before = migrated
    if (arena.tidy(160)) arena.commit()
    most = Math.max(most, migrated - before)
    assert.ok(most <= 14, `${most} at once`)
  }
  assert.equal(migrated, 1000 + 13)
  assert.ok(calls < 200, `${calls} calls`)
  assert.equal(arena.leftovers?.isCrowded, false)
  useAs(arena, own + 1, own, true)
  arena.set('a', `${own + 1}:b`)
  arena.commit()
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.tidy calls migrate once if that is all it may do, also in long chains, and once for each entry', () => {
  const arena = openArena(new OwnSlabs())
  for (let i = 0; i < 2000; i++) arena.set(`key ${i}`, `${i}`)
  arena.commit()
  let calls = 0
  let thrown = 0
  const migrate = ({ value }: OldEntry) => {
    calls++
    if (!utf8Read(value).endsWith('7')) return 'new'
    thrown++
    throw new Error('seven')
  }
  arena.useFormat({ own: 2, kept: 2, alone: true, migrate })
  while (arena.leftovers?.isUntidy) {
    const before = calls
    if (arena.tidy(1)) arena.commit()
    assert.ok(calls <= before + 1)
  }
  assert.deepEqual({ calls, thrown }, { calls: 2000, thrown: 200 })
})

test('Arena.tidy leaves an entry at which migrate throws, reports it once, and does not try again', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  for (let i = 0; i < 50; i++) arena.set(`key ${i}`, `${i}`)
  arena.commit()
  const migrate = ({ value }: OldEntry) => {
    if (utf8Read(value) === '7') throw new Error('seven')
    return 'new'
  }
  arena.useFormat({ own: 2, kept: 2, alone: true, migrate })
  while (arena.leftovers?.isUntidy) if (arena.tidy(100)) arena.commit()
  assert.match(String(arena.takeTrouble()), /seven/)
  assert.equal(arena.takeTrouble(), undefined)
  assert.ok(arena.leftovers?.isMigrating)
  assert.throws(() => arena.getText('key 7'), /seven/)
  assert.equal(arena.getText('key 8'), 'new')
})

test('Arena: an expired entry of a version on trial hides the older entry', () => {
  const clock = { nowMs: 1000 }
  const slabs = new OwnSlabs()
  const arena = openArena(slabs, { clock })
  arena.set('a', '1:old')
  arena.set('b', '1:old', 5000)
  arena.commit()
  useAs(arena, 2, 1, true)
  arena.set('a', '2:new', 2000)
  assert.equal(arena.getText('b'), '2:old')
  arena.commit()
  clock.nowMs = 3000
  for (let i = 0; i < 10; i++) if (arena.expire(10_000) > 0) arena.commit()
  assert.equal(arena.getText('a'), undefined)
  assert.deepEqual(
    [...arena.keys()].map((each) => utf8Read(each)),
    ['b'],
  )
  useAs(arena, 2, 2, true)
  while (arena.leftovers?.isUntidy) if (arena.tidy(100)) arena.commit()
  clock.nowMs = 4999
  assert.equal(arena.getText('a'), undefined)
  assert.equal(arena.getText('b'), '2:old', 'its time to live has gone on')
  clock.nowMs = 5000
  assert.equal(arena.getText('b'), undefined)
  clock.nowMs = 7000
  for (let i = 0; i < 10; i++) if (arena.expire(10_000) > 0) arena.commit()
  assert.equal(arena.entries, 0)
})

test('Arena refuses a version older than a settled format, and opens an arena without formats as before', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  arena.set('a', '1:x')
  arena.commit()
  const before = copyOf(slabs)
  useAs(arena, 3, 3, true)
  assert.equal(arena.getText('a'), '3:x')
  arena.commit()
  useAs(arena, 1, 1, true)
  for (const use of [
    () => arena.get('a'),
    () => arena.set('a', 'y'),
    () => arena.delete('a'),
    () => arena.keys(),
  ])
    assert.throws(use, /it is in the format of version 3, and this version reads that of version 1/)
  arena.rollback()
  arena.useFormat({ own: 4, kept: 3, alone: true })
  assert.throws(() => arena.get('a'), /this version has no migrate/)
  assert.equal(new Int32Array(before.get(0))[1], 1)
  useAs(openArena(before), 1, 1, true)
  assert.equal(new Int32Array(before.get(0))[1], 1, 'an arena of the first format stays one')
})

test('Arena survives whatever migrate does to the arena', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  for (let i = 0; i < 20; i++) arena.set(`key ${i}`, 'old')
  arena.commit()
  const migrate = ({ key }: OldEntry): string | undefined => {
    if (utf8Read(key) === 'key 0') for (let i = 0; i < 2000; i++) arena.set(`more ${i}`, 'x')
    if (utf8Read(key) === 'key 1') arena.set('key 1', 'by itself')
    return utf8Read(key) === 'key 2' ? undefined : 'new'
  }
  arena.useFormat({ own: 2, kept: 1, alone: true, migrate })
  assert.deepEqual(
    ['key 0', 'key 1', 'key 2', 'key 3'].map((each) => arena.getText(each)),
    ['new', 'by itself', undefined, 'new'],
  )
  arena.commit()
  assert.deepEqual(faultsOf(slabs), [])
})
