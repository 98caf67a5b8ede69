import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { URL as OurUrl } from './url.ts'
import { URLSearchParams as OurParams } from './url-search-params.ts'

/** Node's own URL is the oracle. */
function sameAsNode(input: string, base?: string): void {
  const theirs = URL.parse(input, base)
  const ours = OurUrl.parse(input, base)
  assert.deepEqual(ours && view(ours), theirs && view(theirs), `${JSON.stringify(input)} ${base ?? ''}`)
}

const parts = [
  'href',
  'origin',
  'protocol',
  'username',
  'password',
  'host',
  'hostname',
  'port',
  'pathname',
  'search',
  'hash',
] as const

function view(url: URL | OurUrl): Record<string, string> {
  return Object.fromEntries(parts.map((part) => [part, url[part]]))
}

const inputs = [
  'http://example.com',
  'https://user:pa%20ss@Example.COM:443/a/./b/../c?q=1#f',
  'http://a:80/',
  'http://a:8080',
  'http://a:99999',
  'http://[::1]:3000/',
  'http://[2001:db8::1:0:0:1]/',
  'http://[1::2::3]',
  'http://[::127.0.0.1]/',
  'http://[::1',
  'http://[::1.2.3]',
  'http://[1:2:3:4:5:6:7:8]',
  'http://[1:2:3:4:5:6:7::]',
  'http://[::ffff:0:0]',
  'http://[0:0:1:0:0:0:1:0]',
  'http://192.168.0.1',
  'http://0x7f.1',
  'http://0300.0250.1',
  'http://256.1.1.1',
  'http://1.2.3.4.5',
  'http://4294967295',
  'http://4294967296',
  'http://1.2.3.08',
  'http://09.1',
  'http://0x.0x',
  'http://1.2.3.',
  'http://münchen.de/ä?ö#ü',
  'http://faß.de',
  'http://BÜCHER.example',
  'http://日本語。jp',
  'http://xn--mnchen-3ya.de',
  'http://ａｂｃ.com',
  'http://a b',
  'http://a%20b',
  'http://a%41',
  'http://%zz',
  'http://a<b',
  'http://',
  'http:///a',
  'http:a',
  'http:/a',
  'http:\\\\a\\b',
  'https://a@b@c',
  'http://@a',
  'http://:@a',
  'http://a:b@',
  'http://u:p:q@h',
  'file:///c:/a/../..',
  'file:c|/x',
  'file://host/a',
  'file://localhost/a',
  'file:///',
  'file:',
  'file://C|/x',
  'file:///a/../C:/..',
  'mailto:a@b.c',
  'data:text/plain, hello ?x y#z',
  'javascript:alert(1)',
  'a:b?c#d',
  'a://b:1/c',
  'a://',
  'a:/..//p',
  'web+demo:/.//not-a-host/',
  'a:  ',
  'a:b  #c',
  'blob:https://a.b/c',
  'urn:isbn:1',
  'non-special://[::1]:80/x',
  'non-special://a b',
  'non-special://h/ {}^|`',
  'non-special:///p?q',
  '',
  ' ',
  '//x',
  '/x',
  '?x',
  '#x',
  'x',
  '../x',
  './x/../y',
  '//',
  'http',
  ' http://a ',
  'ht\ntp://a\t',
  'http://a/\u0000b',
  'http://a/%zz%2e%2E/b',
  'http://a/%2e%2e/b',
  'http://a/?\'"<>`',
  'a:?\'"',
  'http://a/#`"<>',
  'http://a/{}^|',
  'http://a?b?c#d#e',
  'ws://a:80',
  'wss://a:443',
  'ftp://a:21/',
  'http://a\ud800b/\ud800',
]

test('URL parses as Node does', () => {
  for (const input of inputs) {
    sameAsNode(input)
    for (const base of [
      'http://u:p@h:81/a/b/c?q#f',
      'file:///C:/d/e',
      'mailto:x@y',
      'a://h/p/q?r',
      'a:/p/q',
      'file://host/a/b',
    ])
      sameAsNode(input, base)
  }
})

test('URL parses random combinations as Node does', () => {
  const piece = fc.constantFrom(
    'http',
    'https',
    'file',
    'a',
    ':',
    '/',
    '//',
    '\\',
    '?',
    '#',
    '@',
    '.',
    '..',
    '%2e',
    '%',
    '[',
    ']',
    '::1',
    '1',
    '0x10',
    '127.0.0.1',
    'h',
    'EX',
    'ü',
    ' ',
    '|',
    'C',
    '^',
    '&',
    '=',
    '80',
    '443',
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 9 }),
      fc.constantFrom(undefined, 'http://u@h:81/a/b?q', 'file:///C:/d/e', 'a:/p/q'),
      (pieces, base) => sameAsNode(pieces.join(''), base),
    ),
    { numRuns: 3000 },
  )
})

test('URL setters do as Node’s do', () => {
  const values = [
    '',
    'x',
    'http',
    'https:',
    'file',
    'a:b',
    'h:99',
    'h:',
    '[::1]',
    '80',
    '443',
    '8x',
    'x8',
    '65536',
    '/p',
    'p?q#r',
    '../x',
    '?q',
    '#f',
    'ü ',
    'u@v',
    'a\tb',
    '\\x',
    'C|',
    '//x',
  ]
  const setters = [
    'href',
    'protocol',
    'username',
    'password',
    'host',
    'hostname',
    'port',
    'pathname',
    'search',
    'hash',
  ] as const
  for (const input of [
    'http://u:p@h:81/a/b?q#f',
    'https://h',
    'file:///C:/d',
    'file://h/x',
    'mailto:x@y',
    'a://h:1/p',
    'a:/p',
    'a://',
  ]) {
    for (const setter of setters) {
      for (const value of values) {
        if (setter === 'href' && !URL.canParse(value)) continue
        const [theirs, ours] = [new URL(input), new OurUrl(input)]
        theirs[setter] = value
        ours[setter] = value
        assert.deepEqual(view(ours), view(theirs), `${input} ${setter} = ${value}`)
      }
    }
  }
})

test('URL throws TypeError on text that is no URL, and keeps searchParams and the query in step', () => {
  assert.throws(() => new OurUrl('nope'), TypeError)
  assert.throws(() => new OurUrl('x', 'nope'), TypeError)
  const url = new OurUrl('http://a/?x=1&y=2')
  url.searchParams.append('z', 'ü &')
  assert.equal(url.href, 'http://a/?x=1&y=2&z=%C3%BC+%26')
  url.search = '?only=1'
  assert.equal(url.searchParams.get('only'), '1')
  url.searchParams.delete('only')
  assert.equal(url.href, 'http://a/')
  assert.equal(JSON.stringify({ url }), '{"url":"http://a/"}')
})

test('URLSearchParams does as Node’s does', () => {
  const name = fc.constantFrom('a', 'b', 'ü', '', 'a b', '&', '=', '+', '%41', '\ud800', "!'()~*-._")
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.array(fc.tuple(name, name)), fc.dictionary(name, name)),
      fc.array(fc.tuple(fc.constantFrom('append', 'set', 'delete', 'sort'), name, name)),
      (init, steps) => {
        const [theirs, ours] = [new URLSearchParams(init as string), new OurParams(init as string)]
        for (const params of [theirs, ours]) {
          for (const [step, a, b] of steps) {
            if (step === 'append' || step === 'set') params[step](a, b)
            else if (step === 'delete') params.delete(a)
            else params.sort()
          }
        }
        assert.equal(String(ours), String(theirs))
        assert.deepEqual([...ours], [...theirs])
        assert.deepEqual(
          [ours.get('a'), ours.getAll('b'), ours.has('ü'), ours.size],
          [theirs.get('a'), theirs.getAll('b'), theirs.has('ü'), theirs.size],
        )
      },
    ),
    { numRuns: 500 },
  )
})
