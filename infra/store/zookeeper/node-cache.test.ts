import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeCache } from './node-cache.ts'
import type { FoundNode, Session } from './session.ts'

const never = new AbortController().signal

test('NodeCache keeps no answer that is older than a watch that has already fired (ZN4)', async () => {
  let answer = Promise.withResolvers<FoundNode>()
  let asked = 0
  const session = {
    onNode: (_path: string, _event: string) => {},
    get: () => {
      asked++
      return answer.promise
    },
  }
  const cache = new NodeCache(session as unknown as Session)
  const first = cache.get('/a', never)
  answer.resolve(node('old'))
  session.onNode('/a', 'changed') // both came in one message of the client process: this is handled before the answer is
  assert.equal((await first)?.data.toString(), 'old')
  answer = Promise.withResolvers()
  answer.resolve(node('new'))
  for (let i = 0; i < 2; i++) assert.equal((await cache.get('/a', never))?.data.toString(), 'new')
  assert.equal(asked, 2, 'and what is kept is not asked for again')
})

function node(text: string): FoundNode {
  return { data: Buffer.from(text), stat: { version: 1, aversion: 1, numChildren: 0 } }
}
