import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMarks, type Mark, type Marks, markOf, parseMarks } from './marks.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const redriven = { state: 'redriven', atMs: 7 } as const
const removed = { state: 'removed', atMs: 8 } as const

test('parseMarks reads what encodeMarks wrote; what earlier builds do not know has a schema that they refuse', () => {
  const all: [Omit<Marks, 'revision'>, number][] = [
    [{ byIndex: new Map([[3, redriven]]), all: undefined }, 1],
    [
      {
        byIndex: new Map<number, Mark>([
          [0, redriven],
          [12, removed],
        ]),
        all: undefined,
      },
      2,
    ],
    [{ byIndex: new Map(), all: removed }, 2],
  ]
  for (const [marks, schema] of all) {
    const text = encodeMarks(marks)
    assert.equal(JSON.parse(text).schema, schema)
    assert.deepEqual(parseMarks(bytesOf(text), 5), { revision: 5, ...marks })
  }
  assert.throws(
    () => parseMarks(bytesOf('{"schema":3,"letters":{}}'), 1),
    /Cannot read a mark on dead letters/,
  )
})

test('markOf knows the mark of every letter of a message that is removed', () => {
  const marks = parseMarks(bytesOf(encodeMarks({ byIndex: new Map(), all: removed })), 1)
  assert.deepEqual([markOf(marks, 0), markOf(marks, 99)], [removed, removed])
})
