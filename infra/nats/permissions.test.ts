import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isCode } from '../../sdk/errors.ts'
import {
  claimSubject,
  creditSubject,
  differencesSubject,
  heartbeatSubject,
  ingestSubject,
  logSubject,
  partitionSubject,
  rawSubject,
  spillSubject,
  stateSubject,
  taskSubject,
  wantSubject,
} from '../bus/messages/subjects.ts'
import { connectBus, inboxOf, type NatsConnection } from '../bus/wire/connect.ts'
import { type NatsRole, type NatsServer, type NatsUsers, natsRoles, startNatsServer } from './index.ts'

/** Every subject of the platform, and who may publish and who may hear it. Whoever is not named is refused. */
const table: readonly { subject: string; publish: NatsRole[]; subscribe: NatsRole[] }[] = [
  {
    subject: partitionSubject('ns', 's', 0),
    publish: ['gateway', 'runner'],
    subscribe: ['gateway', 'runner', 'client'],
  },
  { subject: ingestSubject('ns', 's'), publish: ['client'], subscribe: ['gateway'] },
  { subject: rawSubject('ns', 's'), publish: ['gateway'], subscribe: ['client'] },
  { subject: creditSubject('ns', 'p'), publish: ['gateway', 'runner'], subscribe: ['gateway', 'runner'] },
  {
    subject: claimSubject('ns', 'f'),
    publish: ['gateway', 'runner'],
    subscribe: ['gateway', 'scheduler', 'runner'],
  },
  {
    subject: heartbeatSubject('ns', 'i'),
    publish: ['gateway', 'scheduler', 'runner'],
    subscribe: ['gateway', 'scheduler'],
  },
  { subject: taskSubject('ns', 't'), publish: ['scheduler'], subscribe: ['runner'] },
  { subject: stateSubject('ns', 't'), publish: ['gateway'], subscribe: ['runner'] },
  { subject: logSubject('ns', 'f'), publish: ['runner', 'scheduler'], subscribe: ['gateway'] },
  { subject: wantSubject('ns', 's'), publish: ['gateway', 'runner'], subscribe: ['gateway', 'scheduler'] },
  { subject: differencesSubject('ns', 'f', 1), publish: ['runner'], subscribe: [] },
  { subject: spillSubject('ns', 'f', 's', 0, 'p'), publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.DIRECT.GET.concord-spill', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.PURGE.concord-spill', publish: ['gateway'], subscribe: [] },
  { subject: '$JS.API.INFO', publish: ['gateway'], subscribe: [] },
  { subject: '$JS.API.STREAM.CREATE.x', publish: ['gateway'], subscribe: [] },
  { subject: '$JS.API.STREAM.DELETE.OBJ_concord-bundles', publish: ['gateway'], subscribe: [] },
  { subject: '$JS.API.DIRECT.GET.OBJ_concord-bundles', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.INFO.OBJ_concord-bundles', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.MSG.GET.OBJ_concord-bundles', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.MSG.GET.concord-checkpoints', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.MSG.GET.concord-spill', publish: ['gateway', 'runner'], subscribe: [] },
  { subject: '$JS.API.STREAM.MSG.GET.concord-logs', publish: ['gateway'], subscribe: [] },
  { subject: '$O.concord-bundles.M.x', publish: ['gateway'], subscribe: [] },
  { subject: '_INBOX.x.y', publish: [], subscribe: [] },
  { subject: `${inboxOf('the-gateway')}.x`, publish: [], subscribe: ['gateway'] },
  { subject: `${inboxOf('the-scheduler')}.x`, publish: [], subscribe: ['scheduler'] },
  { subject: `${inboxOf('the-runner')}.x`, publish: [], subscribe: ['runner'] },
  { subject: 'elsewhere', publish: [], subscribe: [] },
  { subject: '>', publish: [], subscribe: [] },
]

const users = Object.fromEntries(
  natsRoles.map((role) => [role, { user: `the-${role}`, password: `"${role}"$\\ \u00e9` }]),
) as unknown as NatsUsers

let dir: string
let server: NatsServer
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'concord-nats-'))
  server = await startNatsServer({ dir, port: 0, users })
})
after(async () => {
  await server.stop()
  await rm(dir, { recursive: true })
})

/** What the server refuses of publishing and subscribing to every subject of the table. */
async function refusals(nc: NatsConnection): Promise<Set<string>> {
  const refused = new Set<string>()
  const status = (async () => {
    for await (const event of nc.status()) {
      const text = event.type === 'error' ? event.error.message : ''
      const found = /Permissions Violation for (Publish|Subscription) to "([^"]+)"/i.exec(text)
      if (found) refused.add(`${found[1]!.toLowerCase()} ${found[2]}`)
    }
  })()
  for (const { subject } of table) {
    if (subject !== '>') nc.publish(subject, 'x')
    nc.subscribe(subject, { callback: () => {} })
  }
  await nc.flush() // the server has answered everything before the PONG
  await nc.close()
  await status
  return refused
}

for (const role of natsRoles) {
  test(`natsPermissions: ${role} may do what the table says and nothing else`, async () => {
    const { user, password } = users[role]
    const refused = await refusals(await connectBus({ url: server.url, name: role, user, password }))
    const expected = table.flatMap(({ subject, publish, subscribe }) => [
      ...(publish.includes(role) || subject === '>' ? [] : [`publish ${subject}`]),
      ...(subscribe.includes(role) ? [] : [`subscription ${subject}`]),
    ])
    assert.deepEqual([...refused].sort(), expected.sort())
  })
}

test('natsPermissions: a runner may answer a command once, on its reply subject', async (t) => {
  const as = (role: NatsRole) => connectBus({ url: server.url, name: role, ...users[role] })
  const [runner, scheduler] = [await as('runner'), await as('scheduler')]
  t.after(() => Promise.all([runner.close(), scheduler.close()]))
  runner.subscribe(taskSubject('ns', 't'), { callback: (_, message) => void message.respond('done') })
  await runner.flush()
  const answer = await scheduler.request(taskSubject('ns', 't'), 'do', { timeout: 60_000 })
  assert.equal(answer.string(), 'done')
})

test('connectBus without or with wrong credentials is refused', async () => {
  for (const credentials of [{}, { user: 'the-runner', password: 'wrong' }]) {
    await assert.rejects(connectBus({ url: server.url, name: 'x', ...credentials }), (error) =>
      isCode(error, 'ERR_NATS_REFUSED'),
    )
  }
})
