import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'

test('fn why says where each instance is and why, or what keeps it from running', async (t) => {
  const why = {
    ...{ name: 'shout', version: 2, instancesWanted: 2, instancesRunning: 1, byHand: 'set by hand' },
    rollbackTo: 1,
    noScheduler: 'no scheduler has led for 9 s: nothing is placed',
    unheard: 'this gateway has heard nothing over NATS for 12 s',
    heldBackBy: [
      {
        ...{ stream: 's1', reader: 'bad', instancesRunning: 0, instancesWanted: 1 },
        ...{ records: 2, lagMs: 12_345_678 },
      },
      { stream: 's2', reader: 'off', instancesRunning: 0, instancesWanted: 0, records: 1, lagMs: 9000 },
      {
        ...{ stream: 's3', reader: 'sink', instancesRunning: 1, instancesWanted: 1, instancesBusy: 1 },
        ...{ records: 108_266, lagMs: 1_080_000, cause: 'slow', sentPerSecond: 260.4, donePerSecond: 99.7 },
      },
      {
        ...{ stream: 's4', via: ['split', 'join'], input: 's6', reader: 'sink' },
        ...{ instancesRunning: 4, instancesWanted: 4, instancesBusy: 1 },
        ...{ records: 1, lagMs: 12_000, cause: 'slow', sentPerSecond: 0, donePerSecond: 0.333 },
      },
      {
        ...{ stream: 's5', reader: 'follower.0a1b', records: 7, lagMs: 12_000, cause: 'slow' },
        ...{ sentPerSecond: 0, donePerSecond: 0 },
      },
      {
        ...{ stream: 's6', reader: 'queues', instancesRunning: 1, instancesWanted: 1, queues: true },
        ...{ records: 7, lagMs: 12_000, cause: 'slow' },
      },
      {
        ...{ stream: 's7', reader: 'mute', instancesRunning: 1, instancesWanted: 1 },
        ...{ records: 7, lagMs: 12_000, cause: 'stuck' },
      },
      {
        ...{ stream: 's8', reader: 'far', instancesRunning: 2, instancesWanted: 2, instancesUnheard: 1 },
        ...{ records: 7, lagMs: 12_000, cause: 'slow' },
      },
    ],
    placement: { constraints: ['zone == a'], priority: 3 },
    instances: [
      { id: 'shout-0', state: 'running', hostname: 'web-1', agent: 'S0', why: ['only web-1 suits'] },
      { id: 'shout-1', state: 'waiting', why: ['3 offers seen; the best misses 0.5 cpus', 'it failed'] },
    ],
  }
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: why }))
  assert.equal(
    (await concord(['fn', 'why', 'shout'], { env })).stdout,
    [
      'no scheduler has led for 9 s: nothing is placed',
      'this gateway has heard nothing over NATS for 12 s',
      'shout v2: 1 of 2 instances run; set by hand',
      "It fails: 'concord fn rollback shout' goes back to v1",
      's1 is held back by bad: 0 of 1 instances run, and 2 records wait for it, the oldest for 3 h; once 8 MiB do, everybody waits (`concord fn why bad`)',
      's2 is held back by off: 0 of 0 instances run, and 1 record waits for it, for 9.0 s; once 8 MiB do, everybody waits (`concord fn why off`)',
      's3 is held back by sink, which is behind: 108266 records wait for it, the oldest for 18 min; 260/s come and 100/s are done (`concord fn scale sink N`)',
      's4 is held back by split, which waits for join, which waits for sink, which is behind: 1 record waits for it on s6, for 12.0 s; 0.33/s are done; 1 of its 4 instances is busy (`concord fn move sink`)',
      's5 is held back by a reader over HTTP (follower.0a1b): 7 records wait for it, the oldest for 12.0 s; 0/s are done; it reads too slowly, or its client is gone',
      'queues does not keep up with s6: 7 records wait for it, the oldest for 12.0 s (`concord fn scale queues N`)',
      's7 is held back by mute: 7 records wait for it, the oldest for 12.0 s, and nobody is seen at work on them (`concord fn inspect mute`)',
      's8 is held back by far, which is behind: 7 records wait for it, the oldest for 12.0 s; nothing is heard of 1 of its 2 instances (`concord fn why far`)',
      'It asks for: zone == a; priority 3',
      'INSTANCE  STATE    WHERE  WHY',
      'shout-0   running  web-1  only web-1 suits',
      'shout-1   waiting  -      3 offers seen; the best misses 0.5 cpus',
      '                          it failed',
      '',
    ].join('\n'),
  )
  const { env: rolling } = await gatewayOf(t, () => ({ status: 200, json: { ...why, live: 1 } }))
  const { stdout } = await concord(['fn', 'why', 'shout'], { env: rolling })
  assert.match(stdout, /^shout v1 → v2: 1 of 2 instances run/m, 'those of v1 count')
  assert.equal(`${received[0]!.method} ${received[0]!.path}`, 'GET /v1/functions/shout/why')
  assert.deepEqual(lastJson(await concord(['fn', 'why', 'shout', '--json'], { env })), why)
  assertFails(await concord(['fn', 'why'], { env }), 2, /name/)
})
