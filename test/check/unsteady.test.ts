import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstFailure, unsteadyText } from './unsteady.ts'

const output = `✔ first is good (1.12ms)
✖ adds (two) numbers (1.28ms)
✖ other (1.61ms)
ℹ tests 3

✖ failing tests:

test at a.test.mjs:4:1
✖ adds (two) numbers (1.286399ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly deep-equal:
  + actual - expected
  
    {
  +   a: 1
  -   a: 2
    }
  
      at TestContext.<anonymous> (file:///a.test.mjs:4:62) {
    code: 'ERR_ASSERTION'
  }

test at a.test.mjs:5:1
✖ other (1.618886ms)
  Error: boom
      at TestContext.<anonymous> (file:///a.test.mjs:5:30)
`

test('firstFailure finds the first failed test and its message in what the spec reporter printed', () => {
  assert.equal(
    firstFailure(output, 'failed'),
    [
      'adds (two) numbers',
      'AssertionError [ERR_ASSERTION]: Expected values to be strictly deep-equal:',
      '+ actual - expected',
      '  {',
      '+   a: 1',
      '-   a: 2',
      '  }',
    ].join('\n'),
  )
  const one = '✖ failing tests:\n\ntest at a.mjs:1:1\n✖ waits (3ms)\n  Error: boom\n      at TestContext\n'
  assert.equal(firstFailure(one, 'failed'), 'waits\nError: boom')
  assert.equal(firstFailure('Error: at load\n', 'not finished after 2 s'), 'not finished after 2 s')
})

test('unsteadyText names each file with its failure, and where to read what to do', () => {
  const text = unsteadyText([
    { file: 'a.test.ts', failure: 'waits\nError: boom' },
    { file: 'b.test.ts', failure: 'not finished after 2 s' },
  ])
  assert.match(
    text,
    /^≈ UNSTEADY: 2 files failed and passed when run again, alone\. .*test\/README\.md, "Unsteady files"\n/,
  )
  assert.ok(text.endsWith('  a.test.ts\n    waits\n    Error: boom\n  b.test.ts\n    not finished after 2 s'))
})
