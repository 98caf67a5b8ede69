/**
 * Reference of `density`: `node isolates-main.ts COUNT`: bare isolates, each with a context and a script that has run. Says
 * what one of them takes, then ends.
 * @module
 */
import { readFileSync } from 'node:fs'
import ivm from 'isolated-vm'

const pageBytes = 4096
const count = Number(process.argv[2])
const isolates: unknown[] = []
await make() // what the first one brings along is not an isolate's
const before = residentBytes()
for (let i = 0; i < count; i++) await make()
console.log(JSON.stringify({ bytes: (residentBytes() - before) / count, isolates: isolates.length }))
process.kill(process.pid, 'SIGKILL') // isolated-vm is slow to leave so many

async function make(): Promise<void> {
  const isolate = new ivm.Isolate({ memoryLimit: 64 })
  const context = await isolate.createContext()
  const script = await isolate.compileScript('globalThis.count = () => 1')
  await script.run(context)
  isolates.push({ isolate, context, script })
}

function residentBytes(): number {
  return Number(readFileSync('/proc/self/statm', 'latin1').split(' ')[1]) * pageBytes
}
