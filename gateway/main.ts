/**
 * Main: the gateway process. It reads the configuration, prints one line when it is ready, and ends in order on SIGTERM, or when it
 * cannot go on, with a line that says how many records it gave up.
 *
 * Exit codes: 0 ended as asked; after an error, those of infra/ending.ts.
 * @module
 */
// Must come first: it extends every schema made after it with its way into the OpenAPI document.
import '@hono/zod-openapi'
import { readFile } from 'node:fs/promises'
import { openAssets, openBundles } from '../infra/bundles/index.ts'
import { type BusOptions, connectBus, connectWire, readTls } from '../infra/bus/index.ts'
import { systemClock } from '../infra/clock.ts'
import { loadConfig } from '../infra/config/index.ts'
import { askedToEnd, exitCodeOf, sayFatal } from '../infra/ending.ts'
import { makeLog } from '../infra/log.ts'
import { checkKey, openArchive } from '../infra/runner-archive/index.ts'
import { checkNamespace, openStore, watchNamespace } from '../infra/store/index.ts'
import { refuse } from './errors.ts'
import { startGateway } from './gateway.ts'

async function main(): Promise<void> {
  const { values } = loadConfig({ env: process.env })
  const log = makeLog({ name: 'gateway', level: values.log.level })
  const token = await readToken(values.gateway.tokenFile)
  const { url, user, password } = values.nats
  const tls = await readTls(values.nats)
  const ended = askedToEnd()
  const login = (name: string): BusOptions => ({
    ...{ url, name, onTrouble: (message: string) => log.warn(message) },
    ...(user === undefined ? {} : { user, password: password ?? '' }),
    ...(tls === undefined ? {} : { tls }),
  })
  const nc = await connectBus(login('concord gateway'))
  const wire = await connectWire(login('concord gateway records'))
  // JetStream on a full disk blocks every connection that uses it, so records have a connection of their own.
  const storeConnection = await connectBus(login('concord gateway bundles'))
  const letterConnection = await connectBus(login('concord gateway dead letters'))
  const deadLetters = {
    nc: letterConnection,
    bytesMax: values.deadLetters.maxMib * 2 ** 20,
    ageMaxMs: values.deadLetters.maxAgeHours * 3_600_000,
  }
  const store = await openStore(values.store, { log })
  await checkNamespace(store, values.namespace)
  const { file, key } = values.runnerArchive
  const runner = file === undefined ? undefined : { archive: await openArchive(file), key: checkKey(key) }
  const gateway = await startGateway({
    runner,
    ...{ host: values.gateway.host, port: values.gateway.port, namespace: values.namespace, token },
    ...{ nc, wire, store, clock: systemClock, log, deadLetters },
    ...{ replicas: values.nats.replicas, replacesStore: values.store.replaces },
    bundles: await openBundles(storeConnection),
    assets: await openAssets(storeConnection),
    checkpointConnection: storeConnection,
    connectSpill: () => connectBus(login('concord gateway spill')),
    // Said ahead: whoever has no patience with a store that takes no account knows the number at least.
    onGivenUp: (givenUpRecords) => void say({ settled: true, givenUpRecords }),
  })
  process.stdout.write(`${JSON.stringify({ ready: true, url: gateway.url })}\n`)
  log.info({ url: gateway.url, id: gateway.id }, 'ready')
  const refused = Promise.withResolvers<Error>()
  // The store may be nobody's until a scheduler has led on it.
  const unwatch = watchNamespace(store, values.namespace, systemClock, refused.resolve)
  const why = await Promise.race([ended, gateway.forgotten, refused.promise])
  log.info({ why: why instanceof Error ? why.message : why }, 'stops')
  unwatch()
  const { records: givenUpRecords, isWritten } = await gateway.close()
  await store.close()
  wire.close()
  await Promise.all([nc.close(), storeConnection.close(), letterConnection.close()])
  if (givenUpRecords > 0)
    log.warn({ givenUpRecords }, 'gave up accepted records that no reader has taken in time')
  log.info({ givenUpRecords }, 'stopped')
  await say({ stopped: true, givenUpRecords, ...(!isWritten && { isUncounted: true }) })
  if (why instanceof Error) throw why
}

/** Resolves once the line is written, so that the process may end. A closed stdout is no error. */
function say(what: object): Promise<void> {
  process.stdout.on('error', () => {})
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(what)}\n`, () => resolve()))
}

async function readToken(file: string): Promise<string> {
  const token = await readFile(file, 'utf8').then(
    (text) => text.trim(),
    (error: Error) => {
      const what = `Cannot read the token from ${file}: ${error.message}. Write one there (mode 0600), or name its file by CONCORD_GATEWAY_TOKEN_FILE.`
      throw refuse('ERR_GATEWAY_CONFIGURATION', what)
    },
  )
  if (token.length >= 16 && !/\s/.test(token)) return token
  throw refuse(
    'ERR_GATEWAY_CONFIGURATION',
    `Cannot use the token in ${file}: expected one line of at least 16 characters.`,
  )
}

try {
  await main()
  process.exit(0)
} catch (error) {
  sayFatal('gateway', error)
  process.exit(exitCodeOf(error))
}
