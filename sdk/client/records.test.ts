import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { recordInputSchema } from '../api/index.ts'
import { type ClientRecord, recordsBody, recordsType } from './records.ts'

const data = fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array())
const record = fc.record({ key: data, value: data }, { requiredKeys: ['value'] })

const bytesOf = (text: string | Uint8Array | undefined) => Buffer.from((text ?? '') as string)

/** Reads a body as the API describes it. */
function decode({ type, body }: { type: string; body: Uint8Array }): { key: Buffer; value: Buffer }[] {
  const bytes = Buffer.from(body)
  if (type !== recordsType) {
    return bytes
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => {
        const input = recordInputSchema.parse(JSON.parse(line))
        const read = (text?: string, base64?: string) =>
          base64 === undefined ? bytesOf(text) : Buffer.from(base64, 'base64')
        return { key: read(input.key, input.keyBase64), value: read(input.value, input.valueBase64) }
      })
  }
  const records = []
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 8 + bytes.readUInt32LE(at)
    const end = keyEnd + bytes.readUInt32LE(at + 4)
    records.push({ key: bytes.subarray(at + 8, keyEnd), value: bytes.subarray(keyEnd, end) })
    at = end
  }
  return records
}

test('recordsBody keeps keys and values, in both forms', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1 }), fc.boolean(), (records, timed) => {
      const sent: ClientRecord[] = timed ? records.map((each) => ({ ...each, timeMs: 7 })) : records
      const expected = records.map(({ key, value }) => ({ key: bytesOf(key), value: bytesOf(value) }))
      assert.deepEqual(decode(recordsBody(sent)), expected)
    }),
  )
})
