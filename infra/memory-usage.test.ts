import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

test('memoryUsage and residentBytes answer in a process that may open no more files (MU1)', () => {
  const module = pathToFileURL(`${import.meta.dirname}/memory-usage.ts`).href
  const program = `
    import { openSync } from 'node:fs'
    import { memoryUsage, residentBytes } from ${JSON.stringify(module)}
    const [never, first] = [(await import(${JSON.stringify(`${module}?never`)})).residentBytes, residentBytes()]
    let code
    while (code === undefined) try { openSync('/dev/null') } catch (error) { code = error.code }
    let thrown
    try { process.memoryUsage.rss() } catch (error) { thrown = error.code }
    console.log(JSON.stringify({ code, thrown, first, later: residentBytes(), all: memoryUsage(), never: never() }))
  `
  const command = `ulimit -n 64 && exec "$0" --no-warnings --input-type=module --eval "$1"`
  const told = JSON.parse(
    execFileSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' }),
  )
  const { code, thrown, first, later, all, never } = told
  assert.deepEqual([code, thrown], ['EMFILE', 'EMFILE'], 'Node itself throws')
  assert.deepEqual([later, all.rss], [first, first])
  for (const bytes of [first, never]) assert.ok(bytes > 16 * 2 ** 20 && bytes < 2 ** 30, `${bytes}`)
})
