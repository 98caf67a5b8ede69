import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { generateLog } from './generator.ts'
import { parseLine } from './line.ts'

test('parseLine reads the forms of the five logs', () => {
  const read = (line: string) => {
    const { timeMs, ...rest } = parseLine(line)
    return { seconds: timeMs / 1000, ...rest }
  }
  assert.deepEqual(
    read('- 1102911148 2004.12.12 ladmin2 Dec 12 20:12:28 src@ladmin2 IRQ redirection table:'),
    { seconds: 1102911148, host: 'ladmin2', user: 'src', payload: 'IRQ redirection table:' },
  )
  assert.deepEqual(read('- 1131566461 2005.11.09 dn3 Nov  9 12:01:01 dn3/dn3 crond[2907]: session  closed'), {
    seconds: 1131566461,
    host: 'dn3',
    payload: 'crond[2907]: session  closed',
  })
  assert.deepEqual(
    read(
      'KERNDTLB 1117838570 2005.06.03 R02-M1-N0-C:J12-U11 2005-06-03-15.42.50.363779 R02-M1-N0-C:J12-U11 RAS KERNEL FATAL data TLB error',
    ),
    { seconds: 1117838570, host: 'R02-M1-N0-C:J12-U11', payload: 'RAS KERNEL FATAL data TLB error' },
  )
})

test('parseLine takes what real logs hold', () => {
  const payload = (tail: string) => {
    const { host, user, payload } = parseLine(`- 1102911148 2004.12.12 ladmin2 ${tail}`)
    return [host, user, payload]
  }
  assert.deepEqual(payload(''), ['ladmin2', undefined, ''])
  assert.deepEqual(payload('Dec 12 20:12:28 src@ladmin2'), ['ladmin2', 'src', ''])
  assert.deepEqual(payload('Dec 12 20:12:28 #8#/#8# up'), ['ladmin2', undefined, '#8#/#8# up'])
  assert.deepEqual(payload('Dec 12 20:12:28 kernel: up'), ['ladmin2', undefined, 'kernel: up'])
  assert.deepEqual(payload('mail to root@ladmin2'), ['ladmin2', undefined, 'mail to root@ladmin2'])
  assert.deepEqual(payload('  Dec 12 20:12:28   src@ladmin2   a b '), ['ladmin2', 'src', 'a b '])
})

test('parseLine says at which column a line is no log line, and what it expected', () => {
  for (const [line, message] of [
    ['', /column 1: expected an alert's name or -, found the end/],
    ['hello', /column 6: expected seconds since 1970, like 1102911148, found the end/],
    ['- soon 2004.12.12 n', /column 3: expected seconds since 1970, like 1102911148, found "soon 2004/],
    ['- 999999999999 2004.12.12 n', /column 3: expected seconds/],
    ['- 1102911148 12.12.2004 n', /column 14: expected a date like 2004.12.12, found "12.12.2004 n"/],
    ['- 1102911148 2004.12.12', /column 24: expected a node's name, found the end/],
  ] as const)
    assert.throws(
      () => parseLine(line),
      (error) => error instanceof SyntaxError && message.test(error.message),
      line,
    )
})

test('parseLine reads every line of the generator, and answers any text with a line or a SyntaxError', () => {
  for (const line of generateLog(7, { lines: 500, everyMs: 1e6 })) {
    const { timeMs, host, payload } = parseLine(line)
    assert.ok(line.includes(` ${timeMs / 1000} `) && line.includes(` ${host} `), line)
    assert.ok(payload.length > 0 && line.endsWith(payload), line)
  }
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('-', ' ', '1', '.', '@', 'a') }),
  )
  fc.assert(
    fc.property(text, (tail) => {
      for (const line of [tail, `- 1102911148 2004.12.12 n ${tail}`]) {
        try {
          assert.equal(typeof parseLine(line).payload, 'string')
        } catch (error) {
          assert.ok(error instanceof SyntaxError)
        }
      }
    }),
  )
})
