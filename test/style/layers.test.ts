import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type LayerOrder, layerOffences, orderOf } from './layers.ts'

const readme = `# a
A layer imports those below it, and none above:

| layer | is |
| --- | --- |
| [\`top/\`](top/README.md) | what \`other/\` is not |
| | more of it |
| \`left/\`, \`right/\` | two |

\`left/\` and
\`right/\` do not import each other.
`
const order: LayerOrder = { layers: ['top', 'left', 'right'], typesGoUp: false, apart: [['left', 'right']] }

test('orderOf reads the layers of a README that promises an order', () => {
  assert.deepEqual(orderOf(readme), order)
  assert.equal(orderOf(readme.replace(', and none above', ''))?.typesGoUp, true)
  assert.equal(orderOf('| `top/` | one |'), undefined)
})

test('layerOffences finds what is imported from above, and layers that are not listed (LR1, LR2, LR3)', () => {
  const of = (path: string, specifier: string, { type = '', typesGoUp = false } = {}) =>
    layerOffences('a', { ...order, typesGoUp }, [
      { path, source: `import ${type}{ x } from '${specifier}'\n` },
    ])
  assert.deepEqual(of('a/top/one.ts', '../left/two.ts'), [])
  assert.deepEqual(of('a/left/one.ts', '../errors.ts'), [])
  assert.deepEqual(of('a/left/one.ts', '../../b/top/x.ts'), [])
  assert.deepEqual(of('a/left/one.test.ts', '../top/two.ts'), [])
  assert.deepEqual(of('a/left/bench.ts', '../top/two.ts'), [])
  assert.match(of('a/left/one.ts', '../top/two.ts')[0]!, /top\/ does not stand below left\//)
  assert.match(of('a/left/one.ts', '../right/two.ts')[0]!, /right\/ does not stand below left\//)
  assert.match(of('a/new/one.ts', '../left/two.ts')[0]!, /does not list new\//)
  assert.equal(of('a/left/one.ts', '../top/two.ts', { type: 'type ' }).length, 1)
  assert.equal(of('a/left/one.ts', '../top/two.ts', { type: 'type ', typesGoUp: true }).length, 0)
  assert.equal(of('a/left/one.ts', '../top/two.ts', { typesGoUp: true }).length, 1)
})
