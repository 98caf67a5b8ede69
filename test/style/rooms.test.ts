import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomOffences, roomsOf } from './rooms.ts'

const readme = `# a
A room imports those below it, and none above:

| room | is |
| --- | --- |
| \`top/\` | one |
| \`left/\`, \`right/\` | two |
`

test('roomsOf reads the rooms of a README that promises an order', () => {
  assert.deepEqual(roomsOf(readme), ['top', 'left', 'right'])
  assert.equal(roomsOf('| `top/` | one |'), undefined)
})

test('roomOffences finds what is imported from above, and rooms that are not listed (RM1, RM2)', () => {
  const of = (path: string, specifier: string) =>
    roomOffences('a', ['top', 'left'], [{ path, source: `import { x } from '${specifier}'\n` }])
  assert.deepEqual(of('a/top/one.ts', '../left/two.ts'), [])
  assert.deepEqual(of('a/left/one.ts', '../errors.ts'), [])
  assert.deepEqual(of('a/left/one.ts', '../../b/top/x.ts'), [])
  assert.deepEqual(of('a/left/one.test.ts', '../top/two.ts'), [])
  assert.match(of('a/left/one.ts', '../top/two.ts')[0]!, /top\/ does not stand below left\//)
  assert.match(of('a/new/one.ts', '../left/two.ts')[0]!, /does not list new\//)
})
