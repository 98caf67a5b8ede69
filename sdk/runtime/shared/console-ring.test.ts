import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConsoleRing, readConsole } from './console-ring.ts'
import { ControlWords } from './control-words.ts'
import { consoleBytes, control, controlBytes } from './layout.ts'

function makeRing() {
  const memory = new ArrayBuffer(consoleBytes)
  const controlWords = new ControlWords(new ArrayBuffer(controlBytes))
  return {
    ring: new ConsoleRing(memory, 0, controlWords),
    /** What the host finds after a call. */
    take() {
      const lines = readConsole(new Uint8Array(memory.slice(0, controlWords.word(control.consoleEnd))))
      controlWords.publish(control.consoleEnd, 0)
      return lines
    },
  }
}

test('ConsoleRing passes 64 KiB and a line per second over all calls, and says what it left out', () => {
  const { ring, take } = makeRing()
  const line = 'x'.repeat(1000)
  let bytes = 0
  let lines = 0
  const second = (fromMs: number): void => {
    for (let call = 0; call < 100; call++) {
      for (let i = 0; i < 20; i++) ring.write('info', line, fromMs + call * 10)
      for (const { line } of take()) {
        bytes += line.length
        lines++
      }
    }
  }
  second(5000)
  assert.ok(bytes > 60 * 1024 && bytes <= 65 * 1024, `${bytes} bytes`)
  const left = 100 * 20 - lines
  ring.write('info', 'later', 6000)
  assert.deepEqual(take(), [
    {
      level: 'warn',
      line: `${left} lines of the console were dropped: at most 500 lines and 64 KiB a second`,
    },
    { level: 'info', line: 'later' },
  ])
})

test('ConsoleRing counts bytes, not characters, and cuts a line that is too long', () => {
  const { ring, take } = makeRing()
  for (let i = 0; i < 20; i++) {
    ring.write('info', '€'.repeat(20_000), 0)
    const [taken] = take()
    if (taken === undefined) return assert.equal(i, 3) // of 24 KiB each
    assert.equal(taken.line, '€'.repeat(8 * 1024))
  }
  assert.fail('nothing was left out')
})

test('ConsoleRing keeps its bounds though the author has replaced Math.floor', (t) => {
  const { ring, take } = makeRing()
  let calls = 0
  t.mock.method(Math, 'floor', () => calls++)
  for (let i = 0; i < 2000; i++) ring.write('info', 'line', 0)
  assert.equal(take().length, 500)
})
