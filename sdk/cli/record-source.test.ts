import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { recordInputSchema } from '../api/index.ts'
import {
  batchesOf,
  keyedByField,
  keyedByTab,
  type LineParser,
  paced,
  recordLines,
  valueLines,
} from './record-source.ts'

async function* chunksOf(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}

async function valuesOf(text: string, chunkBytes: number, parse: LineParser = valueLines(undefined)) {
  const values: string[] = []
  for await (const { records } of batchesOf(chunksOf(Buffer.from(text), chunkBytes), parse)) {
    values.push(...records.map(({ value }) => Buffer.from(value as Uint8Array).toString()))
  }
  return values
}

test('batchesOf makes one record of each line, however the bytes are cut', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''))
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.constantFrom('\n', '\r\n'),
      fc.integer({ min: 1, max: 30 }),
      async (lines, end, chunkBytes) => {
        assert.deepEqual(await valuesOf(lines.map((text) => text + end).join(''), chunkBytes), lines)
      },
    ),
  )
  assert.deepEqual(await valuesOf('a\n\nlast line without an end', 3), ['a', '', 'last line without an end'])
})

test('batchesOf passes on every line before one that is no record', async () => {
  const passed: string[] = []
  const parse: LineParser = (value, number) => {
    if (value.length > 1) throw new Error(`line ${number}`)
    return { value }
  }
  const source = chunksOf(Buffer.from('a\nb\nc\nbad\nd\n'), 100)
  await assert.rejects(async () => {
    for await (const { records } of batchesOf(source, parse))
      passed.push(...records.map(({ value }) => `${value}`))
  }, /line 4/)
  assert.deepEqual(passed, ['a', 'b', 'c'])
})

test('batchesOf refuses a line that is larger than a record, and reads no more of one without an end', async () => {
  const large = Buffer.alloc(2 * 1024 * 1024, 'x')
  const read = async (source: AsyncIterable<Buffer>) => {
    for await (const _ of batchesOf(source, valueLines(undefined)));
  }
  await assert.rejects(
    read(chunksOf(Buffer.concat([Buffer.from('a\n'), large]), 65_536)),
    /line 2: it has 2097152 bytes/,
  )
  const key = `${'é'.repeat(32_768)}\tvalue`
  await assert.rejects(async () => {
    for await (const _ of batchesOf(chunksOf(Buffer.from(`a\n${key}\n`), 65_536), keyedByTab));
  }, /line 2: its key has 65536 bytes, and a key 65535 at most/)
  let chunks = 0
  const endless = async function* () {
    for (;;) {
      chunks++
      yield large
    }
  }
  await assert.rejects(read(endless()), /line 1: it has more than/)
  assert.ok(chunks < 10, `${chunks} chunks were read`)
})

test('keyedByField takes the key from the value, and names a line without it', async () => {
  const parse = keyedByField('user')
  assert.equal(parse(Buffer.from('{"user":"anna"}'), 1).key, 'anna')
  assert.equal(parse(Buffer.from('{"user":7}'), 1).key, '7')
  assert.equal(parse(Buffer.from('{"user":9007199254740991}'), 1).key, '9007199254740991')
  assert.throws(
    () => parse(Buffer.from('{"user":12345678901234567891}'), 2),
    /line 2: its field 'user' is a number beyond 9007199254740991, which is rounded .*: write it in quotes/,
  )
  assert.throws(() => parse(Buffer.from('{"name":"anna"}'), 3), /line 3: its field 'user' is missing/)
  assert.throws(() => parse(Buffer.from('null'), 4), /line 4/)
  assert.throws(() => parse(Buffer.from('hello'), 5), /line 5: it is not JSON but starts with 'hello'/)
})

test('keyedByTab parts key and value at the first tab', () => {
  const read = (line: string) => {
    const { key, value } = keyedByTab(Buffer.from(line))
    return [key?.toString(), value.toString()]
  }
  assert.deepEqual(read('anna\t1\t2'), ['anna', '1\t2'])
  assert.deepEqual(read('anna\t'), ['anna', ''])
  assert.deepEqual(read('no tab'), [undefined, 'no tab'])
  assert.deepEqual(read('\ta\tb'), [undefined, 'a\tb'])
  assert.deepEqual(read(''), [undefined, ''])
})

test('recordLines reads whole records in the form of the API', () => {
  const record = recordLines(Buffer.from('{"key":"k","valueBase64":"/w==","timeMs":9}'), 1)
  assert.deepEqual(record, { key: 'k', value: Buffer.from([255]), timeMs: 9 })
  assert.throws(() => recordLines(Buffer.from('{"key":"k"}'), 2), /line 2: it has neither/)
  assert.throws(
    () => recordLines(Buffer.from('{"value":7}'), 3),
    /line 3: its 'value' is not text in quotes: 7/,
  )
  assert.throws(() => recordLines(Buffer.from('{"value":"v","key":{}}'), 4), /line 4: its 'key' is not text/)
  assert.throws(
    () => recordLines(Buffer.from('{"value":"v","timeMs":"now"}'), 5),
    /'timeMs' is not a whole number/,
  )
  assert.throws(
    () => recordLines(Buffer.from('{"valueBase64":"###"}'), 6),
    /line 6: its 'valueBase64' is not base64: '###'/,
  )
})

test('recordLines and the API accept the same fields, of the same types', () => {
  const text = fc.constantFrom('a', 'YQ==', 1, 1.5, true)
  const fields = Object.fromEntries(
    [...Object.keys(recordInputSchema.shape), 'k'].map((name) => [name, text]),
  )
  const isTaken = (read: () => unknown): boolean => {
    try {
      read()
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(fc.record(fields, { requiredKeys: [] }), (record) => {
      const line = Buffer.from(
        JSON.stringify({ value: 'v', ...record, valueBase64: undefined, keyBase64: undefined }),
      )
      assert.equal(
        isTaken(() => recordLines(line, 1)),
        isTaken(() => recordInputSchema.parse(JSON.parse(line.toString()))),
        line.toString(),
      )
    }),
  )
})

test('recordLines refuses a field that no record has, and a key or a value in both forms', () => {
  const said = (line: string) => () => recordLines(Buffer.from(line), 7)
  assert.throws(
    said('{"Key":"a","value":"v"}'),
    /record of line 7: unknown field 'Key'; did you mean 'key'\?$/,
  )
  assert.throws(said('{"value":"v","timems":5}'), /unknown field 'timems'; did you mean 'timeMs'\?$/)
  assert.throws(said('{"k":"a","value":"v"}'), /unknown field 'k'; a record has key, keyBase64, value, /)
  assert.throws(
    said('{"key":"a","keyBase64":"Yg==","value":"v"}'),
    /it has both 'key' and 'keyBase64': give one of them$/,
  )
  assert.throws(said('"text"'), /line 7: it is not an object \{…\}$/)
  assert.throws(said('{"value":"a","valueBase64":"Yg=="}'), /both 'value' and 'valueBase64'/)
})

test('paced passes every record in order, no faster than requested', async () => {
  const startedMs = performance.now()
  const passed: number[] = []
  for await (const { records } of paced(
    batchesOf(chunksOf(Buffer.from('x\n'.repeat(60)), 7), valueLines('k')),
    400,
  )) {
    passed.push(records.length)
  }
  assert.equal(
    passed.reduce((sum, count) => sum + count, 0),
    60,
  )
  assert.ok(performance.now() - startedMs >= (60 / 400) * 1000 * 0.8)
})
