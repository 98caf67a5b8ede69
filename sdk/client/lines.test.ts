import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { linesOf } from './lines.ts'

test('linesOf finds the same lines however the bytes are cut', async () => {
  const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\r\n]/g, ''))
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.array(fc.nat(40), { minLength: 1 }), async (lines, cuts) => {
      const bytes = new TextEncoder().encode(lines.map((text) => `${text}\n`).join(''))
      async function* pieces() {
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = at + 1 + cuts[i % cuts.length]!
          yield bytes.subarray(at, end)
          at = end
        }
      }
      const found: string[] = []
      for await (const text of linesOf(pieces())) found.push(text)
      assert.deepEqual(found, lines)
    }),
  )
})
