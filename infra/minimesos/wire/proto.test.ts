import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  anything,
  bool,
  bytes,
  convert,
  message,
  number,
  oneOf,
  ProtoError,
  repeated,
  required,
  string,
} from './proto.ts'

const inner = message({ value: required(string) })
const type = message({
  flag: bool,
  count: number,
  raw: bytes,
  kind: oneOf('A', 'B'),
  one: inner,
  many: repeated(inner),
  any: anything,
})

test('convert keeps known fields, drops unknown ones, and treats null as unset', () => {
  const json = {
    flag: true,
    count: '1.5e1',
    raw: '+/A=',
    kind: 'C',
    one: null,
    many: [{ value: 'x', alien: 1 }, null],
    alien: 1,
  }
  assert.deepEqual(convert(type, json), { flag: true, count: 15, raw: '+/A=', many: [{ value: 'x' }] })
})

test('convert treats a single value as a list of one', () => {
  assert.deepEqual(convert(type, { many: { value: 'x' } }).many, [{ value: 'x' }])
})

test('convert refuses a value of another type, and names the field', () => {
  const table: readonly (readonly [unknown, string])[] = [
    [[], 'Expecting a JSON object'],
    [null, 'Expecting a JSON object'],
    [{ flag: 'true' }, "Not expecting a JSON string for field 'flag'"],
    [{ count: true }, "Not expecting a JSON boolean for field 'count'"],
    [
      { count: '0x10' },
      "Failed to parse '0x10' as a JSON number for field 'count': syntax error at line 1 near: 0x10",
    ],
    [{ raw: 'a_b=' }, "Failed to base64 decode bytes field 'raw': Invalid character '_'"],
    [{ kind: 1 }, "Not expecting a JSON number for field 'kind'"],
    [{ one: [] }, "Not expecting a JSON array for field 'one'"],
    [{ many: ['x'] }, "Not expecting a JSON string for field 'many'"],
    [{ one: {}, many: [{ value: 'x' }, {}] }, 'Missing required fields: one.value, many[1].value'],
  ]
  for (const [json, text] of table) assert.throws(() => convert(type, json), new ProtoError(text))
})

test('convert turns any JSON into a message or a ProtoError', () => {
  const part = fc.oneof(fc.jsonValue(), fc.constantFrom('A', '1', { value: 'x' }))
  const keys = fc.constantFrom('flag', 'count', 'raw', 'kind', 'one', 'many', 'any', '__proto__')
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(keys, part)), (json) => {
      try {
        assert.ok(Array.isArray(convert(type, json).many))
      } catch (error) {
        assert.ok(error instanceof ProtoError)
      }
    }),
  )
})
