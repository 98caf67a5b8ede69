import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Launch } from './core/index.ts'
import { ownRunnerCommand, parseRunnerCommand, runnerOrder } from './runner-task.ts'

const launch = {
  document: {
    taskId: 'ns_score_0_1_x',
    name: 'score-0',
    agentId: 'S0',
    resources: { cpus: 0.25, memMib: 256, diskMib: 32 },
  },
  function: 'score',
} as unknown as Launch

test('runnerOrder tells the runner its identity and the address of NATS, and nothing else', () => {
  const options = {
    namespace: 'ns',
    command: ['/node', 'main.ts'],
    natsUrl: 'nats://h:1',
    natsUser: 'r',
    natsPassword: 'p',
    logLevel: 'info',
  }
  assert.deepEqual(runnerOrder(options, launch, 10_000), {
    taskId: 'ns_score_0_1_x',
    name: 'score-0',
    agentId: 'S0',
    resources: { cpus: 0.25, memMib: 256, diskMib: 32 },
    killGraceMs: 10_000,
    command: {
      value: '/node',
      arguments: ['main.ts'],
      environment: {
        CONCORD_TASK_ID: 'ns_score_0_1_x',
        CONCORD_NAMESPACE: 'ns',
        CONCORD_FUNCTION: 'score',
        CONCORD_NATS_URL: 'nats://h:1',
        CONCORD_NATS_USER: 'r',
        CONCORD_NATS_PASSWORD: 'p',
        CONCORD_MEM_MIB: '256',
        CONCORD_CPUS: '0.25',
        CONCORD_LOG_LEVEL: 'info',
      },
    },
  })
})

test('runnerOrder marks a packed runner', () => {
  const options = { namespace: 'ns', command: ['/node'], natsUrl: 'nats://h:1', logLevel: 'info' }
  const packed = { ...launch, document: { ...launch.document, group: 'fn/score' } }
  const environment = (of: Launch) => runnerOrder(options, of, 1).command.environment['CONCORD_PACKED']
  assert.deepEqual([environment(launch), environment(packed)], [undefined, '1'])
})

test('parseRunnerCommand reads words or a JSON array, and refuses the rest', () => {
  assert.deepEqual(parseRunnerCommand(' node  main.ts '), ['node', 'main.ts'])
  assert.deepEqual(parseRunnerCommand('["/a b/node", "main.ts"]'), ['/a b/node', 'main.ts'])
  for (const wrong of ['', '[]', '[1]', '["a"'])
    assert.throws(() => parseRunnerCommand(wrong), /ERR|Cannot read/)
})

test('ownRunnerCommand runs the runner of this installation under this Node', () => {
  const [node, ...args] = ownRunnerCommand()
  assert.equal(node, process.execPath)
  assert.match(args.at(-1) ?? '', /\/runner\/main\.ts$/)
})
