import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCode } from '../../errors.ts'
import { faultsOf, OwnSlabs, openArena, partKind, slabUnitBytes } from './index.ts'
import { contentsOf } from './testing.ts'

const utf8 = new TextEncoder()

function open(limitBytes = Number.POSITIVE_INFINITY) {
  const slabs = new OwnSlabs({ limitBytes, slabBytes: 1024 * 1024 })
  return { slabs, arena: openArena(slabs) }
}

test('Arena takes 64 KiB when it is empty', () => {
  const { slabs, arena } = open()
  assert.equal(slabs.heldBytes, 64 * 1024)
  assert.equal(arena.heldBytes, 64 * 1024)
  assert.deepEqual(faultsOf(slabs), [])
  for (let i = 0; i < 300; i++) arena.set(`key of some length ${i}`, new Uint8Array(64))
  assert.equal(slabs.heldBytes, 64 * 1024, 'and so does one with a few hundred entries')
})

test('Arena returns values of all lengths, under keys of all lengths', () => {
  const { slabs, arena } = open()
  const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 1000, 1024, 1025, 5000, 65_535]
  const bytes = (length: number, seed: number): Uint8Array =>
    Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff)
  for (const keyBytes of lengths)
    for (const valueBytes of lengths) {
      arena.set(bytes(keyBytes, 1), bytes(valueBytes, keyBytes))
      assert.deepEqual(arena.get(bytes(keyBytes, 1)), bytes(valueBytes, keyBytes))
      arena.commit()
    }
  assert.equal(arena.entries, lengths.length)
  for (const keyBytes of lengths) assert.deepEqual(arena.get(bytes(keyBytes, 1)), bytes(65_535, keyBytes))
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena returns texts of all lengths and letters, overwritten in place or not', () => {
  const letter = fc.constantFrom('a', 'z', '\0', '\x7f', '0', '{', 'é', '€', '🙂', '\ud800')
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 80 })
  const mixed = fc.tuple(ascii, fc.string({ unit: letter, maxLength: 8 })).map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 3 }), fc.oneof(ascii, mixed))), (sets) => {
      const { arena } = open()
      const map = new Map<number, string>()
      for (const [key, text] of sets) {
        arena.set(`key ${key}`, text)
        map.set(key, text)
        for (const [other, expected] of map) {
          assert.equal(arena.getText(`key ${other}`), expected.toWellFormed())
          assert.deepEqual(arena.get(`key ${other}`), utf8.encode(expected))
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('Arena accepts keys and values as bytes and as text', () => {
  const { arena } = open()
  for (const text of [
    '',
    'a',
    'ascii',
    'sixteen letters!',
    'größer',
    '漢字かな',
    '🙂 astral',
    'lone \ud800 surrogate',
  ]) {
    arena.set(text, text)
    assert.equal(arena.getText(text), text.toWellFormed())
    assert.equal(arena.getText(utf8.encode(text)), text.toWellFormed())
    assert.deepEqual(arena.get(text), utf8.encode(text))
    arena.set(utf8.encode(text), utf8.encode(`${text}!`))
    assert.equal(arena.getText(text), `${text.toWellFormed()}!`)
    arena.commit()
  }
  assert.equal(arena.entries, 8)
  arena.set('é', 'two bytes')
  assert.equal(arena.get(Uint8Array.of(0xe9)), undefined, 'the byte is not the letter')
  arena.set(Uint8Array.of(0xe9), 'one byte')
  assert.equal(arena.getText('é'), 'two bytes', 'nor the other way round, right after it')
})

test('Arena copies what goes in and what comes out', () => {
  const { arena } = open()
  const value = Uint8Array.of(1, 2, 3)
  const key = Uint8Array.of(9)
  arena.set(key, value)
  value[0] = key[0] = 77
  arena.get(Uint8Array.of(9))![1] = 77
  assert.deepEqual(arena.get(Uint8Array.of(9)), Uint8Array.of(1, 2, 3))
  assert.equal(arena.get(Uint8Array.of(9))!.buffer.byteLength, 3, 'and nothing else is behind them')
})

test('Arena.rollback restores the last commit', () => {
  const { slabs, arena } = open()
  arena.set('kept', 'as it was')
  arena.set('shrinks', 'a value of some length')
  arena.set('goes', 'soon')
  arena.commit()
  arena.set('kept', 'AS IT WAS')
  arena.set('shrinks', 'x')
  arena.set('large', new Uint8Array(200_000))
  assert.equal(arena.delete('goes'), true)
  assert.equal(arena.delete('goes'), false)
  arena.set('comes', 'new')
  arena.rollback()
  const texts = ['kept', 'shrinks', 'goes', 'large', 'comes'].map((key) => arena.getText(key))
  assert.deepEqual(texts, ['as it was', 'a value of some length', 'soon', undefined, undefined])
  assert.equal(arena.entries, 3)
  assert.equal(arena.bytes, 13 + 29 + 8)
  assert.deepEqual(faultsOf(slabs), [])
})

test('openArena keeps what was committed, and undoes what was not', () => {
  const { slabs, arena } = open()
  arena.set('a', 'committed')
  arena.commit()
  arena.set('a', 'not')
  arena.set('b', new Uint8Array(300_000))
  const again = openArena(slabs)
  assert.equal(again.getText('a'), 'committed')
  assert.equal(again.get('b'), undefined)
  assert.equal(again.bytes, 10)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.commit takes effect by the commit word that its owner gives, for all arenas that share it', () => {
  const words = new Int32Array(4)
  const both = [new OwnSlabs(), new OwnSlabs()]
  const openBoth = () => both.map((slabs) => openArena(slabs, { commitWord: { words, index: 2 } }))
  const texts = () => openBoth().map((arena) => arena.getText('key'))
  const change = (text: string) => {
    const arenas = openBoth()
    for (const arena of arenas) {
      arena.set('key', text)
      arena.commit()
    }
    return arenas
  }
  change('old')
  words[2]!++
  change('new')
  assert.deepEqual(texts(), ['old', 'old'], 'made ready, not committed')
  const arenas = change('new')
  words[2]!++
  assert.deepEqual(texts(), ['new', 'new'])
  for (const arena of arenas) arena.rest()
  words[2]!--
  assert.deepEqual(texts(), ['new', 'new'], 'at rest, the word says nothing')
})

test('Arena.set refuses an entry that does not fit, and changes nothing', () => {
  const limitBytes = 4 * slabUnitBytes
  const { slabs, arena } = open(limitBytes)
  arena.set('a', 'first')
  arena.commit()
  let stored = 0
  const fill = () => {
    for (; ; stored++) {
      arena.set(`key ${stored}`, new Uint8Array(500))
      arena.commit()
    }
  }
  assert.throws(fill, (error) => isCode(error, 'ERR_STATE_FULL') && error.detail['limitBytes'] === limitBytes)
  assert.ok(stored > 350, `${stored} entries of 512 bytes in 256 KiB`)
  const before = contentsOf(arena)
  assert.throws(
    () => arena.set('a', new Uint8Array(5000)),
    /the partition holds \d+ entries of \d+ bytes in 262144 bytes of memory; with all others it takes 262144 of the 262144 that are allowed: delete/,
  )
  assert.equal(arena.getText('a'), 'first')
  arena.commit()
  assert.deepEqual(contentsOf(arena), before)
  assert.deepEqual(faultsOf(slabs), [])
  for (let i = 0; i < 30; i++) arena.delete(`key ${i}`)
  arena.commit()
  arena.set('a', new Uint8Array(12_000))
  arena.commit()
  assert.equal(arena.get('a')!.length, 12_000, 'what was deleted makes room for the next')
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.rollback frees the room of a transaction that has filled the arena', () => {
  const { slabs, arena } = open(4 * slabUnitBytes)
  const fill = () => {
    for (let i = 0; ; i++) arena.set(`key ${i}`, 'value')
  }
  for (let i = 0; i < 3; i++) {
    assert.throws(fill, (error) => isCode(error, 'ERR_STATE_FULL'))
    arena.rollback()
    assert.equal(arena.entries, 0)
    assert.deepEqual(faultsOf(slabs), [])
  }
})

test('Arena.set refuses keys and values that are too long, or are neither bytes nor text', () => {
  const { slabs, arena } = open()
  assert.throws(
    () => arena.set('k', new Uint8Array(1024 * 1024)),
    (error) => isCode(error, 'ERR_STATE_TOO_LARGE'),
  )
  assert.throws(() => arena.set('k'.repeat(65_536), ''), /has 65536 bytes, at most 65535 fit/)
  assert.throws(
    () => arena.set('ü'.repeat(33_000), ''),
    (error) => isCode(error, 'ERR_STATE_TOO_LARGE'),
  )
  assert.throws(() => arena.get(7 as never), /Cannot get state: its key is number/)
  assert.throws(() => arena.set('k', null as never), /Cannot set state: its value is null/)
  assert.equal(arena.entries, 0)
  const large = openArena(new OwnSlabs())
  large.set('k', new Uint8Array(3 * 1024 * 1024).fill(3))
  large.commit()
  assert.equal(large.get('k')!.length, 3 * 1024 * 1024)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.get lets entries expire when their time has come', () => {
  const clock = { nowMs: 1_000 }
  const slabs = new OwnSlabs()
  const arena = openArena(slabs, { clock })
  const later = Date.UTC(2026, 0, 1)
  arena.set('soon', 'a', 2_000)
  arena.set('later', 'b', later)
  arena.set('never', 'c')
  arena.commit()
  clock.nowMs = 1_999
  assert.equal(arena.getText('soon'), 'a')
  clock.nowMs = 2_000
  assert.equal(arena.get('soon'), undefined)
  assert.equal(arena.delete('soon'), false)
  arena.rollback()
  assert.equal(arena.get('soon'), undefined, 'it does not come back')
  arena.commit()
  arena.set('later', 'B', later + 5)
  arena.rollback()
  clock.nowMs = later
  assert.equal(arena.get('later'), undefined, 'its time came back too')
  arena.rollback()
  clock.nowMs = 2_000
  arena.set('later', 'longer', later + 1)
  arena.set('never', 'for a while', later)
  arena.commit()
  clock.nowMs = later
  assert.equal(arena.getText('later'), 'longer')
  assert.equal(arena.getText('never'), undefined)
  arena.set('later', 'for ever')
  clock.nowMs = later + 1
  assert.equal(arena.getText('later'), 'for ever')
  arena.expire(10_000)
  arena.commit()
  assert.equal(arena.entries, 1)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena keeps the highest mark of a number, and reads numbers that were stored without one', () => {
  const slabs = new OwnSlabs()
  let nowMs = 1000
  const clock = {
    get nowMs() {
      return nowMs
    },
  }
  const arena = openArena(slabs, { clock })
  const part = { kind: partKind.window, number: 5 }
  const told = (key: string) => [arena.getNumber(key, part), arena.markOf(key, part)]
  assert.deepEqual(told('none'), [undefined, 0])
  assert.equal(arena.getMarked('none', 7, part), undefined)
  assert.deepEqual(told('none'), [undefined, 0], 'reading makes nothing')

  arena.setNumber('old', 1.5, 2000, part) // as builds before marks did
  arena.setNumber('read', 4, undefined, part)
  arena.commit()
  assert.deepEqual(told('old'), [1.5, 0])
  assert.equal(arena.addMarked('old', 2, 3, 2000, part), 3.5)
  assert.deepEqual(told('old'), [3.5, 3])
  assert.equal(arena.addMarked('old', 1, 2, 2000, part), 4.5)
  assert.deepEqual(told('old'), [4.5, 3])
  assert.equal(arena.getMarked('old', 9, part), 4.5)
  assert.equal(arena.getMarked('read', 20, part), 4)
  assert.deepEqual(
    [told('old'), told('read')],
    [
      [4.5, 9],
      [4, 20],
    ],
  )
  arena.rollback()
  assert.deepEqual(
    [told('old'), told('read')],
    [
      [1.5, 0],
      [4, 0],
    ],
  )

  arena.getMarked('old', 9, part)
  arena.getMarked('read', 20, part)
  arena.commit()
  nowMs = 1999
  assert.deepEqual(
    [told('old'), told('read')],
    [
      [1.5, 9],
      [4, 20],
    ],
  )
  nowMs = 2000
  assert.deepEqual(
    [told('old'), told('read')],
    [
      [undefined, 0],
      [4, 20],
    ],
    'a higher mark prolongs nothing',
  )
  assert.equal(arena.addMarked('old', 1, 2, 3000, part), 1)
  assert.deepEqual(told('old'), [1, 2], 'and goes with its number')
  arena.commit()
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.expire removes expired entries that nobody reads', () => {
  const clock = { nowMs: 0 }
  const slabs = new OwnSlabs()
  const arena = openArena(slabs, { clock })
  for (let i = 0; i < 3000; i++) arena.set(`key ${i}`, 'value', i < 2000 ? 500 : 5000)
  arena.commit()
  clock.nowMs = 1000
  let removed = 0
  while (arena.nextExpiryMs <= clock.nowMs) {
    removed += arena.expire(50)
    arena.commit()
  }
  assert.equal(removed, 2000)
  assert.equal(arena.entries, 1000)
  assert.equal(arena.nextExpiryMs, 5000, 'then there is nothing to do until the next expires')
  arena.set('soon', 'value', 3000)
  assert.equal(arena.nextExpiryMs, 3000)
  clock.nowMs = 10_000
  for (let i = 0; i < 5; i++) {
    arena.expire(50)
    arena.rollback() // what it brings back is found again
  }
  while (arena.nextExpiryMs <= clock.nowMs) {
    arena.expire(1000)
    arena.commit()
  }
  assert.equal(arena.entries, 0)
  assert.equal(arena.nextExpiryMs, Number.POSITIVE_INFINITY)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.set can change an entry that it has just made, even if the index grew because of it', () => {
  const { slabs, arena } = open()
  for (let i = 0; i < 3000; i++) {
    arena.set(`key ${i}`, 'short')
    arena.set(`key ${i}`, `a value that is longer: ${i}`)
  }
  arena.commit()
  assert.deepEqual(faultsOf(slabs), [])
  for (let i = 0; i < 3000; i++) assert.equal(arena.getText(`key ${i}`), `a value that is longer: ${i}`)
})

test('Arena.forEach visits each entry once, while other entries are added, changed and removed', () => {
  const { slabs, arena } = open()
  for (let i = 0; i < 2000; i++) arena.set(`key ${i}`, `${i}`)
  const seen: string[] = []
  arena.forEach((key) => {
    const text = new TextDecoder().decode(key)
    if (text.startsWith('new')) return
    seen.push(text)
    arena.set(`new ${text}`, 'x'.repeat(seen.length % 50))
    arena.set(key, 'y'.repeat(seen.length % 70))
    if (seen.length % 3 === 0) arena.delete(key)
  })
  arena.commit()
  assert.equal(new Set(seen).size, 2000)
  assert.equal(seen.length, 2000)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena takes at most 1.5 times the bytes that it stores', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  const key = new Uint8Array(16)
  const number = new Uint32Array(key.buffer)
  const value = new Uint8Array(64)
  for (let i = 0; i < 200_000; i++) {
    number[0] = i
    arena.set(key, value)
    arena.commit()
    if (i % 10_000 !== 9_999) continue
    const ratio = slabs.heldBytes / arena.bytes
    assert.ok(ratio <= 1.5, `${ratio} at ${arena.entries} entries`)
  }
})

test('Arena does not grow under updates that change sizes', () => {
  const { slabs, arena } = open()
  let seed = 7
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0
    return (seed >>> 8) % below
  }
  let most = 0
  for (let i = 0; i < 200_000; i++) {
    const sizes = 20 + Math.floor(i / 20_000) * 40 // ten ages, in which values get longer
    const key = `key ${random(1000)}`
    if (random(10) === 0) arena.delete(key)
    else arena.set(key, new Uint8Array(random(sizes)))
    arena.commit()
    most = Math.max(most, arena.bytes)
  }
  assert.deepEqual(faultsOf(slabs), [])
  assert.ok(slabs.heldBytes < 2 * most, `${slabs.heldBytes} bytes held for ${most}`)
})

test('openArena refuses memory without an arena, or with one of another format', () => {
  const { slabs } = open()
  const words = new Int32Array(slabs.get(0))
  words[1] = 3
  assert.throws(() => openArena(slabs), /Cannot open state: found format 3, expected format 2 or below/)
  words[0] = 0x12345678
  assert.throws(
    () => openArena(slabs),
    (error) => isCode(error, 'ERR_STATE_FORMAT'),
  )
  words[0] = 0
  words.fill(-1, 1)
  assert.equal(openArena(slabs).entries, 0, 'what has no magic was never finished: it is made anew')
  assert.deepEqual(faultsOf(slabs), [])
  assert.throws(
    () =>
      openArena({
        ...slabs,
        slabBytes: 2 ** 21,
        limitBytes: 0,
        heldBytes: 0,
        count: 1,
        get: () => slabs.get(0),
        grow: () => false,
      }),
    {
      code: 'ERR_STATE_FORMAT',
    },
  )
  assert.throws(() => openArena(new OwnSlabs({ limitBytes: 1000 })), {
    code: 'ERR_STATE_FULL',
    message: /others take 0 of the 1000 bytes that are allowed: .* or raise limits\.stateMib$/,
  })
})
