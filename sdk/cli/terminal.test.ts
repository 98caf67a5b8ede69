import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { dim, lostText, note, Progress, print, table } from './terminal.ts'

const eraseLine = '\r\u001b[2K'

/** What is written to a terminal of this width while `work` runs, on a clock that stands at 50 ms: a command just started. */
function shownBy(t: TestContext, work: (progress: Progress) => void, columns: number): string {
  const { stderr } = process
  const terminal = { isTTY: stderr.isTTY, columns: stderr.columns, TERM: process.env['TERM'] }
  let shown = ''
  t.mock.method(performance, 'now', () => 50)
  const write = t.mock.method(stderr, 'write', (text: string) => {
    shown += text
    return true
  })
  Object.assign(stderr, { isTTY: true, columns })
  process.env['TERM'] = 'xterm'
  try {
    work(new Progress())
  } finally {
    write.mock.restore()
    Object.assign(stderr, { isTTY: terminal.isTTY, columns: terminal.columns })
    if (terminal.TERM === undefined) delete process.env['TERM']
    else process.env['TERM'] = terminal.TERM
  }
  return shown
}

test('Progress shows its first line at once, however young the command is, and takes it away', (t) => {
  const work = (progress: Progress) => {
    progress.update(() => 'starting')
    progress.update(() => 'at once again')
    progress.clear()
  }
  assert.equal(shownBy(t, work, 80), `${eraseLine}starting${eraseLine}`)
})

test('Progress cuts its line to the terminal, where the terminal says how wide it is', (t) => {
  const work = (progress: Progress) => progress.update(() => 'starting')
  assert.equal(shownBy(t, work, 6), `${eraseLine}start`)
  t.mock.restoreAll()
  assert.equal(shownBy(t, work, 0), `${eraseLine}starting`)
})

test('lostText says what a stop has lost, and what it does not know', () => {
  assert.equal(lostText({ givenUpRecords: 0, killedInstances: [], tasksLeft: 0 }), '')
  const since =
    ", since a process ended before it could say so; 'concord fn inspect' counts what is known, once it is up again."
  for (const unknown of [{}, { givenUpRecords: null, killedInstances: null, tasksLeft: 0 }])
    assert.equal(
      lostText(unknown),
      ` Not known: how many records were given up, and whether all instances ended in order${since}`,
    )
  assert.equal(
    lostText({ givenUpRecords: 0, killedInstances: null, tasksLeft: 1 }),
    ` 1 task was ended without a scheduler. Not known: whether all instances ended in order${since}`,
  )
  assert.equal(
    lostText({ givenUpRecords: 1, killedInstances: [], tasksLeft: 2 }),
    " 1 record in flight was given up ('concord fn inspect' shows where, once it is up again). 2 tasks were ended without a scheduler.",
  )
  assert.match(
    lostText({ givenUpRecords: 12, givenUpIsAtMost: true, killedInstances: [] }),
    /^ At most 12 records in flight were given up/,
  )
  assert.equal(
    lostText({ givenUpRecords: 0, killedInstances: ['a-0 (signal 9)', 'b-1 (frozen)'] }),
    " Not ended in order: a-0 (signal 9), b-1 (frozen). Records and changes of state of their last seconds may be lost ('concord fn inspect' counts what is known).",
  )
})

/** What `work` writes to this stream at once; `terminals` are those that are one. */
function written(
  t: TestContext,
  to: 'stdout' | 'stderr',
  terminals: readonly ('stdout' | 'stderr')[],
  work: () => unknown,
): string {
  const { stdout, stderr, env } = process
  const before = { stdout: stdout.isTTY, stderr: stderr.isTTY, TERM: env['TERM'], NO_COLOR: env['NO_COLOR'] }
  let text = ''
  const write = t.mock.method(process[to], 'write', (chunk: string) => {
    text += chunk
    return true
  })
  Object.assign(stdout, { isTTY: terminals.includes('stdout') })
  Object.assign(stderr, { isTTY: terminals.includes('stderr') })
  Object.assign(env, { TERM: 'xterm', NO_COLOR: '' })
  try {
    work()
  } finally {
    write.mock.restore()
    Object.assign(stdout, { isTTY: before.stdout })
    Object.assign(stderr, { isTTY: before.stderr })
    for (const name of ['TERM', 'NO_COLOR'] as const) {
      if (before[name] === undefined) delete env[name]
      else env[name] = before[name]
    }
  }
  return text
}

const hostile = 'key\tvalue\u001b]52;c;aGk=\u0007 \u001b[2K\r \u009b8m \u007f é'

test('print shows the control characters of data on a terminal, and keeps our colours (T3)', (t) => {
  const shown = written(t, 'stdout', ['stdout'], () => print(`${dim('row')} ${hostile}`))
  const harmless = 'key\tvalue\\x1b]52;c;aGk=\\x07 \\x1b[2K\\x0d \\x9b8m \\x7f é'
  assert.equal(shown, `\u001b[2mrow\u001b[0m ${harmless}\n`)
})

test('table aligns its columns by what a terminal shows: controls as \\xNN, wide characters, marks, styles', (t) => {
  const keys = ['a', '\u001b[2K', 'a\nb\tc', '漢字', '👍', 'e\u0301', '\u001b[32mok\u001b[0m']
  const rows = keys.map((key, i) => [key, i % 2 === 0 ? 7 : 4096, 'end'])
  const shown = written(t, 'stdout', ['stdout'], () => print(table([['KEY', 'N', 'LAST'], ...rows])))
  assert.equal(
    shown,
    [
      '\u001b[1mKEY             N  LAST\u001b[0m',
      'a               7  end',
      '\\x1b[2K      4096  end',
      'a\\x0ab\\x09c     7  end',
      '漢字         4096  end',
      '👍              7  end',
      'e\u0301            4096  end',
      '\u001b[32mok\u001b[0m              7  end',
      '',
    ].join('\n'),
  )
})

test('print writes into a pipe what came', (t) => {
  assert.equal(
    written(t, 'stdout', ['stderr'], () => print(hostile)),
    `${hostile}\n`,
  )
})

test('note into a file has no colours, though standard output is a terminal (T1)', (t) => {
  assert.equal(
    written(t, 'stderr', ['stdout'], () => note(dim('following'))),
    'following\n',
  )
})

test('note shows control characters on a terminal, and styles too where nothing is coloured', (t) => {
  assert.equal(
    written(t, 'stderr', ['stderr'], () => note('\u001b[31mred\u001b[0m')),
    '\\x1b[31mred\\x1b[0m\n',
  )
})
