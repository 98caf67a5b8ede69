import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  TextDecoder as OurDecoder,
  TextEncoder as OurEncoder,
  atob as ourAtob,
  btoa as ourBtoa,
} from '../globals/encoding.ts'
import { utf8Encode, utf8Length, utf8Read } from './utf8.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'é', '€', '🙂', '\ud800', '\udc00', '\0', '\ufeff') })
/** Bytes that are nearly UTF-8. */
const nearly = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        0x41,
        0x80,
        0xbf,
        0xc0,
        0xc2,
        0xe0,
        0xa0,
        0xed,
        0x9f,
        0xef,
        0xbb,
        0xf0,
        0x90,
        0xf4,
        0x8f,
        0xff,
      ),
      fc.nat(255),
    ),
  )
  .map((bytes) => Uint8Array.from(bytes))

test('utf8Encode writes what TextEncoder writes', () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (s) => {
      const expected = new TextEncoder().encode(s)
      assert.deepEqual(utf8Encode(s), expected)
      assert.equal(utf8Length(s), expected.length)
    }),
    { numRuns: 500 },
  )
})

test('utf8Read reads what TextDecoder reads, also ill-formed bytes', () => {
  fc.assert(
    fc.property(nearly, (bytes) =>
      assert.equal(utf8Read(bytes), new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)),
    ),
    { numRuns: 2000 },
  )
  const long = Uint8Array.from({ length: 10_000 }, (_, i) => (i % 3 === 0 ? 0xe2 : i % 3 === 1 ? 0x82 : 0xac))
  assert.equal(utf8Read(long), new TextDecoder().decode(long))
})

test('TextDecoder decodes in pieces as Node’s does: fatal, byte order marks, UTF-16', () => {
  const options = fc.record({ fatal: fc.boolean(), ignoreBOM: fc.boolean() })
  fc.assert(
    fc.property(
      fc.constantFrom('utf-8', 'UTF8 ', 'utf-16le'),
      options,
      fc.array(nearly, { minLength: 1, maxLength: 4 }),
      (label, opts, pieces) => {
        const decode = (decoder: {
          decode(bytes: Uint8Array<ArrayBuffer>, options: { stream: boolean }): string
        }): string[] =>
          pieces.map((piece, i) => {
            try {
              return decoder.decode(piece, { stream: i < pieces.length - 1 })
            } catch (error) {
              return (error as Error).name
            }
          })
        // After a fatal error the standard leaves the state of a stream open: compare up to the first.
        const upTo = (all: string[]): string[] => all.slice(0, all.indexOf('TypeError') + 1 || all.length)
        assert.deepEqual(
          upTo(decode(new OurDecoder(label, opts))),
          upTo(decode(new TextDecoder(label, opts))),
        )
      },
    ),
    { numRuns: 2000 },
  )
  assert.throws(() => new OurDecoder('latin1'), RangeError)
})

test('TextEncoder.encodeInto stops at a whole character, as Node’s does', () => {
  fc.assert(
    fc.property(text, fc.nat(12), (s, size) => {
      const [ours, theirs] = [new Uint8Array(size), new Uint8Array(size)]
      assert.deepEqual(new OurEncoder().encodeInto(s, ours), new TextEncoder().encodeInto(s, theirs))
      assert.deepEqual(ours, theirs)
    }),
  )
})

test('atob and btoa do as Node’s do', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (s) => {
      const attempt = (run: (s: string) => string): string => {
        try {
          return run(s)
        } catch (error) {
          return (error as Error).name
        }
      }
      assert.equal(attempt(ourBtoa), attempt(btoa))
      assert.equal(attempt(ourAtob), attempt(atob))
    }),
  )
  fc.assert(
    fc.property(fc.base64String(), fc.constantFrom('', ' ', '\n'), (s, space) =>
      assert.equal(ourAtob(space + s), atob(s)),
    ),
  )
})
