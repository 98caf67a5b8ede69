import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { lostText, Progress } from './terminal.ts'

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
  assert.equal(lostText({ givenUpRecords: 0, tasksLeft: 0 }), '')
  assert.equal(lostText({}), ' How many records were given up is not known.')
  assert.equal(
    lostText({ givenUpRecords: 1, tasksLeft: 2 }),
    ' 1 record that no function had processed was given up. 2 tasks were ended without a scheduler.',
  )
})
