/** The arena where it is meant to be: in an isolate that is stopped at any time, beside code that is not ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import vm from 'node:vm'
import { buildSync } from 'esbuild'
import ivm from 'isolated-vm'
import { faultsOf, OwnSlabs, openArena } from './index.ts'
import { applyToModel, contentsOf, transactionOf } from './testing.ts'

function bundle(contents: string): string {
  const { outputFiles } = buildSync({
    stdin: { contents, loader: 'ts', resolveDir: fileURLToPath(new URL('.', import.meta.url)) },
    bundle: true,
    write: false,
    format: 'iife',
    globalName: 'writer',
    target: 'es2024',
    logLevel: 'silent',
  })
  return outputFiles[0]!.text
}

/** Slabs that are all there from the beginning, as a host hands them in. */
const givenSlabs = `
  class GivenSlabs {
    constructor(slabs, slabBytes) {
      this.slabs = slabs
      this.slabBytes = slabBytes
      this.limitBytes = Infinity
    }
    get count() { return this.slabs.length }
    get(index) { return this.slabs[index] }
    grow() { return false }
  }`

const keys = 300

test('openArena finds whole transactions after an isolate was ended at any instruction', () => {
  const slabs = new OwnSlabs({ slabBytes: 512 * 1024, make: (bytes) => new SharedArrayBuffer(bytes) })
  while (slabs.count < 24) slabs.grow(0)
  const isolate = new ivm.Isolate({ memoryLimit: 128 })
  const context = isolate.createContextSync()
  context.evalSync(
    bundle(`
      import { openArena } from './open-arena.ts'
      import { applyTo, transactionOf } from './testing.ts'
      ${givenSlabs}
      let slabs
      export function boot(given, slabBytes) { slabs = new GivenSlabs(given, slabBytes) }
      /** Goes on behind the last committed transaction, until it is stopped. */
      export function run() {
        const arena = openArena(slabs)
        let number = Number(arena.getText('number') ?? 0)
        for (;;) {
          number++
          applyTo(arena, transactionOf(number, ${keys}))
          if (number % 5 === 0) arena.rollback()
          arena.set('number', String(number))
          arena.commit()
        }
      }`),
  )
  const shared = Array.from({ length: slabs.count }, (_, i) => slabs.get(i))
  context.evalClosureSync('writer.boot($0, $1)', [new ivm.ExternalCopy(shared).copyInto(), slabs.slabBytes])

  const model = new Map<string, string>()
  let last = 0
  let stops = 0
  const stop = (): void => {
    stops++
    assert.throws(() => context.evalSync('writer.run()', { timeout: stops % 8 === 0 ? 5 : 1 }), /timed out/)
  }
  const verify = (): void => {
    const arena = openArena(slabs)
    const number = Number(arena.getText('number') ?? 0)
    while (last < number) {
      last++
      if (last % 5 !== 0) applyToModel(model, transactionOf(last, keys))
    }
    const found = new Map(contentsOf(arena))
    found.delete(Buffer.from('number').toString('hex'))
    assert.deepEqual(faultsOf(slabs), [])
    assert.deepEqual(found, model)
  }
  // On a busy machine fewer stops must do.
  const endMs = performance.now() + 10_000
  while (stops < 2000 && (stops < 300 || performance.now() < endMs)) {
    stop()
    // Every third time it is the isolate itself that finds what was left.
    if (stops % 3 !== 0) verify()
  }
  verify()
  isolate.dispose()
  assert.ok(last > stops, `${last} transactions in ${stops} stops`)
})

/** Replaces all that a function could replace, by what looks for shared memory among arguments and receivers. */
const tampering = `
  const { apply, ownKeys, getOwnPropertyDescriptor, getPrototypeOf, defineProperty } = Reflect
  const Shared = SharedArrayBuffer
  const views = getPrototypeOf(Uint8Array)
  const bufferOf = getOwnPropertyDescriptor(views.prototype, 'buffer').get
  const isView = ArrayBuffer.isView
  const isShared = (value) => typeof value === 'object' && value !== null && getPrototypeOf(value) === Shared.prototype
  const caught = []
  let calls = 0
  const look = (where, value) => {
    calls++
    if (isShared(value) || (isView(value) && isShared(apply(bufferOf, value, []))))
      defineProperty(caught, caught.length, { __proto__: null, value: String(where), enumerable: true, writable: true })
  }
  const lookAtAll = (where, self, list) => {
    look(where, self)
    for (let i = 0; i < list.length; i++) look(where, list[i])
  }
  const wrap = (name, original) =>
    new Proxy(original, {
      __proto__: null,
      apply: (target, self, args) => (lookAtAll(name, self, args), apply(target, self, args)),
      construct: (target, args) => (lookAtAll(name, undefined, args), new target(...args)),
    })
  const wrapAll = (name, object) => {
    for (const key of ownKeys(object)) {
      const found = getOwnPropertyDescriptor(object, key)
      if (!found.configurable || key === 'prototype') continue
      for (const kind of ['get', 'set', 'value'])
        if (typeof found[kind] === 'function') found[kind] = wrap(name + '.' + String(key), found[kind])
      defineProperty(object, key, { __proto__: null, ...found })
    }
  }
  const constructors = { Uint8Array, Int32Array, ArrayBuffer, SharedArrayBuffer, Array, Object, Function, String, Number }
  defineProperty(views, Symbol.species, { __proto__: null, configurable: true, get() { look('species', this); return this } })
  for (let i = 0; i < 100; i++)
    defineProperty(Array.prototype, i, { __proto__: null, configurable: true, get() {}, set(value) { look('element', value) } })
  for (const name of ['words', 'sizes', 'slab', 'value', 'bytes', 'memory', 'index'])
    defineProperty(Object.prototype, name, { __proto__: null, configurable: true, get() { look(name, this) }, set(value) { look(name, value) } })
  wrapAll('views', views.prototype)
  for (const name of ownKeys(constructors)) {
    wrapAll(name, constructors[name].prototype)
    wrapAll(name, constructors[name])
    globalThis[name] = wrap(name, constructors[name])
  }
  for (const name of ['Math', 'Reflect', 'Atomics', 'JSON']) wrapAll(name, globalThis[name])
`

test('Arena gives no shared memory to code that has replaced the built-ins', () => {
  const context = vm.createContext({})
  const source = bundle(`
    import { Arena } from './arena.ts'
    import { openArena } from './open-arena.ts'
    export { openArena }
    ${givenSlabs}
    export { GivenSlabs }`)
  vm.runInContext(source, context)
  vm.runInContext(
    `const slabs = []
    for (let i = 0; i < 16; i++) slabs.push(new SharedArrayBuffer(64 * 1024))
    const arena = writer.openArena(new writer.GivenSlabs(slabs, 256 * 1024))
    ${tampering}`,
    context,
  )
  const run = `
    calls = 0
    for (let i = 0; i < 4000; i++) {
      const key = 'a key for number ' + i
      arena.set(key, 'a value of some length, and then some more of it: ' + i)
      arena.get(key)
      arena.getText(key)
      if (i % 7 === 0) arena.rollback()
      else arena.commit()
    }
    arena.set('large', 'x'.repeat(50000))
    arena.getText('large')
    for (let i = 0; i < 600; i++) arena.set('many ' + i, new Uint8Array(100))
    arena.rollback()
    arena.forEach(() => {})
    arena.heldBytes
    try {
      for (let i = 0; ; i++) arena.set('until it is full ' + i, new Uint8Array(1000))
    } catch (error) {
      if (error.code !== 'ERR_STATE_FULL') throw error
    }
    arena.rollback()
    calls`
  assert.ok((vm.runInContext(run, context) as number) > 10_000, 'the traps were there')
  assert.deepEqual([...new Set(vm.runInContext('caught', context) as string[])], [])
  assert.ok((vm.runInContext('arena.entries', context) as number) > 3000)
  vm.runInContext('look("here", slabs[0])', context)
  assert.equal(vm.runInContext('caught.length', context), 1, 'and would have caught it')
})
