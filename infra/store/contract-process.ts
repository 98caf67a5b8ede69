/**
 * A process of the store's contract tests: opens the store, does one thing, and says so on stdout, a line each time.
 *   count PATH TIMES    adds one to the number at PATH, TIMES times
 *   lead NAME           leads, says its epoch, and holds on
 *   watch PATH          says the number at PATH each time that it is called
 * @module
 */
import { openStore } from './open.ts'
import { upsert } from './store.ts'

const [settings, what, argument, times] = process.argv.slice(2) as [string, string, string, string]
const store = await openStore(JSON.parse(settings))

if (what === 'count') {
  console.log('ready')
  for (let i = 0; i < Number(times); i++) await upsert<number>(store, argument, (before = 0) => before + 1)
  await store.close()
}

if (what === 'lead') {
  console.log('ready')
  const { epoch } = await store.lead(argument, new AbortController().signal)
  console.log(epoch)
  setInterval(() => {}, 1e6)
}

if (what === 'watch') {
  store.watch(argument, async () => console.log((await store.get(argument))?.value ?? 'nothing'))
  setInterval(() => {}, 1e6)
}
