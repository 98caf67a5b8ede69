import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withHugePages } from './huge-pages.ts'

test('withHugePages asks for huge pages if a runner has one instance and enough memory, and keeps existing settings', () => {
  const wish = (env: NodeJS.ProcessEnv, memMib = 256): string | undefined =>
    withHugePages(env, memMib)['GLIBC_TUNABLES']
  assert.equal(wish({ A: '1' }), 'glibc.malloc.hugetlb=1')
  assert.equal(withHugePages({ A: '1' }, 256)['A'], '1')
  assert.equal(
    wish({ GLIBC_TUNABLES: 'glibc.malloc.arena_max=2' }),
    'glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1',
  )
  assert.equal(wish({ GLIBC_TUNABLES: 'glibc.malloc.hugetlb=0' }), 'glibc.malloc.hugetlb=0')
  assert.equal(wish({ CONCORD_PACKED: '1' }), undefined)
  assert.equal(wish({}, 64), undefined)
})
