/**
 * HostileRecords: a function whose records break a limit each in its own way, and what is known of each.
 * @module
 */

/** Limits of the function, in milliseconds: of a turn, and of a promise. */
export const limitMs = 300

export interface HostileRecord {
  readonly title: string
  /** What `processRecord` does with it. */
  readonly body: string
  /** `time`: it runs beyond its limit; `memory`: it would, but for what it takes; else it takes the process along. */
  readonly breaks: 'time' | 'memory' | 'process'
}

export const hostileRecords: Readonly<Record<string, HostileRecord>> = {
  loop: { title: 'loop', breaks: 'time', body: 'for (;;);' },
  regexp: { title: 'regular expression', breaks: 'time', body: "/^(a+)+$/.test('a'.repeat(40) + 'b')" },
  microtasks: {
    title: 'microtasks',
    breaks: 'time',
    body: 'const next = () => Promise.resolve().then(next); return next()',
  },
  awaited: {
    title: 'loop behind await',
    breaks: 'time',
    body: 'return (async () => { await null; for (;;); })()',
  },
  slow: {
    title: 'promise that settles late',
    breaks: 'time',
    body: 'return new Promise((done) => setTimeout(done, 60_000))',
  },
  getter: {
    title: 'getter of what is thrown',
    breaks: 'time',
    body: 'throw { get message() { for (;;); } }',
  },
  proxy: {
    title: 'proxy that is thrown',
    breaks: 'time',
    body: 'throw new Proxy({}, { get() { for (;;); } })',
  },
  fill: { title: 'what nothing interrupts', breaks: 'time', body: 'Array(2 ** 32 - 1).fill(0)' },
  digits: { title: 'numbers of many digits', breaks: 'time', body: 'for (let n = 3n; ; n *= n) String(n)' },
  arrays: {
    title: 'arrays',
    breaks: 'memory',
    body: 'for (const all = []; ; ) all.push(new Array(1000).fill(1))',
  },
  formatters: {
    title: 'memory beside the heap',
    breaks: 'memory',
    body: "for (const all = []; ; ) all.push(new Intl.DateTimeFormat('de', { month: 'long' }))",
  },
  abort: { title: 'abort of V8', breaks: 'process', body: "'x'.repeat(2 ** 28).split('')" },
}

/** Its source. It says in its log which of them it begins with, and when, as `began` reads it. */
export function hostileFunction(name: string): string {
  const cases = Object.entries(hostileRecords).map(([key, { body }]) => `case '${key}': { ${body}; break }`)
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, onError: 'deadLetter' },
  processRecord(ctx: any, record: any): any {
    console.log('begins', record.text(), Date.now())
    switch (record.text()) {
      ${cases.join('\n      ')}
    }
  },
})
`
}

/** The time in a line of its log. */
export function beganMs(line: string, key: string): number | undefined {
  const [, found, ms] = /^begins (\w+) (\d+)$/.exec(line) ?? []
  return found === key ? Number(ms) : undefined
}
