/**
 * concord fn scale NAME N: more or fewer instances of what runs; nothing is restarted.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { print, printJson } from '../terminal.ts'

interface ScaleOptions extends ServerOptions {
  readonly wait: boolean
  readonly timeout: number
}

const pollMs = 100

export function addScale(fn: CliCommand): void {
  fn.command('scale')
    .description(
      'Set how many instances a function has. Partitions are handed over; nothing is restarted or lost.',
    )
    .argument('<name>', 'the function')
    .argument('<n>', 'how many instances', wholeNumber(0))
    .option('--no-wait', 'return when it is wanted, before it is so')
    .option('--timeout <s>', 'how long to wait until it is so', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .example('concord fn scale score 4')
    .action(scale)
}

async function scale(name: string, instances: number, options: ScaleOptions): Promise<void> {
  const { wait, timeout, json } = options
  const client = connect(options)
  await client.scale(name, instances)
  if (wait) await untilScaled(client, name, instances, timeout * 1000)
  const state = wait ? 'has' : 'will have'
  await (json ? printJson({ name, instances }) : print(`${name} ${state} ${count(instances)}.`))
}

async function untilScaled(
  client: ConcordClient,
  name: string,
  instances: number,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const detail = await client.inspect(name)
    if (detail.instances.length === instances && detail.instancesRunning === instances) return
    if (performance.now() > deadlineMs) {
      const why =
        detail.instances.find((instance) => instance.why !== undefined)?.why ?? `it is ${detail.state}`
      const text = `${name} has ${count(detail.instancesRunning)} after ${timeoutMs / 1000} s, ${instances} are wanted: ${why}; 'concord fn inspect ${name}' shows more`
      throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
    }
    await sleep(pollMs)
  }
}

function count(instances: number): string {
  return instances === 1 ? '1 instance' : `${instances} instances`
}
