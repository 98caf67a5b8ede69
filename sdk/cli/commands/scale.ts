/**
 * concord fn scale NAME N | --mem M --cpus C | --auto | --why: changes the number or the size of a function's
 * instances, by hand or by its policy, and explains them.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { tellOfLeft, untilRunning, whyOf } from '../deploy/deploy.ts'
import { tellOfChanges, whyItWaits } from '../deploy/remarks.ts'
import type { CliErrorCode } from '../errors.ts'
import { tellIfLater } from '../later.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { dim, green, note, print, printJson } from '../terminal.ts'
import { lateText } from '../text/late-text.ts'
import { olderText } from '../text/older-text.ts'
import { boundText } from '../text/rolling-text.ts'
import { scalingText } from '../text/scaling-text.ts'
import { userName } from './deploy.ts'
import { addSimulate } from './simulate.ts'

interface ScaleOptions extends ServerOptions {
  readonly auto?: true
  readonly why?: true
  readonly cpus?: number
  readonly mem?: number
  readonly message?: string
  readonly wait: boolean
  readonly timeout: number
}

const pollMs = 100

export function addScale(fn: CliCommand): void {
  const command = fn
    .command('scale')
    .description(
      'Set how many instances a function has, resize them, return their number to the policy, or explain it. Partitions are handed over; nothing is lost.',
    )
    .argument('<name>', 'the function')
    .argument('[n]', 'how many instances; overrides a policy until --auto', wholeNumber(0))
    .option('--auto', "return to the function's policy ('scale' in its concord.jsonc)")
    .option('--mem <mib>', 'give each instance this much memory, in MiB, while it runs', wholeNumber(1))
    .option('--cpus <n>', 'give each instance this many cores, while it runs', positiveNumber)
    .option('-m, --message <text>', 'a message for a new size, shown by `concord fn versions`')
    .option('--why', 'explain the number of instances: policy, load, latest changes')
    .option('--no-wait', 'return before it is done')
    .option('--timeout <s>', 'how long to wait for that', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .example(
      'concord fn scale score 4',
      'concord fn scale score --mem 512 --cpus 1',
      'concord fn scale score --auto',
      'concord fn scale score --why',
    )
    .action(scale)
  addSimulate(command)
}

async function scale(name: string, instances: number | undefined, options: ScaleOptions): Promise<void> {
  const { auto = false, why = false, cpus, mem, json } = options
  const isVertical = cpus !== undefined || mem !== undefined
  if ([instances !== undefined, auto, why, isVertical].filter(Boolean).length !== 1) {
    const text = `Say one of: a number of instances ('concord fn scale ${name} 4'), '--mem' and '--cpus', '--auto', or '--why'`
    throw new CodedError<CliErrorCode>('ERR_USAGE', text)
  }
  const client = connect(options)
  if (instances !== undefined) return await scaleTo(client, name, instances, options)
  if (isVertical) return await resize(client, name, options)
  if (why) {
    const scaling = await client.scaling(name)
    return await (json ? printJson(scaling) : print(scalingText(scaling, Date.now())))
  }
  const answer = await client.autoscale(name)
  const text = `${name} is scaled by its policy; it has ${count(answer.instances)} now.`
  await (json ? printJson({ name, ...answer }) : print(text))
}

/**
 * Other resources for each instance: a new version of the same code, whose instances take over from the running ones.
 */
async function resize(
  client: ConcordClient,
  name: string,
  { cpus, mem, message, wait, timeout, json }: ScaleOptions,
): Promise<void> {
  const asked = [
    ...(mem === undefined ? [] : [`--mem ${mem}`]),
    ...(cpus === undefined ? [] : [`--cpus ${cpus}`]),
  ]
  const answer = await client.changeResources(name, {
    ...(cpus !== undefined && { cpus }),
    ...(mem !== undefined && { memMib: mem }),
    ...{ message: message ?? `fn scale ${asked.join(' ')}`, author: userName() },
  })
  tellOfLeft(answer)
  tellOfChanges(answer)
  if (wait) {
    const { instancesWanted } = await untilRunning(client, answer, timeout * 1000)
    await untilScaled(client, name, instancesWanted, timeout * 1000)
  }
  const { manifest } = await client.inspect(name)
  if (json) return await printJson({ ...answer, resources: manifest.resources })
  const { resources } = manifest
  const waits = wait || !answer.changed ? undefined : await whyItWaits(client, answer)
  const later = waits === undefined ? 'will have' : 'is to have'
  const has = !answer.changed ? 'has already' : wait ? 'has' : later
  await print(
    `${green(`${name} v${answer.version}`)} ${has} ${resources.memMib} MiB and ${resources.cpus} cpus per instance.`,
  )
  if (waits !== undefined) note(`It waits: ${waits}`)
  if (answer.changed)
    await print(dim(`They stay over deploys, until the resources in its concord.jsonc change.`))
}

async function scaleTo(
  client: ConcordClient,
  name: string,
  instances: number,
  { wait, timeout, json }: ScaleOptions,
): Promise<void> {
  const { pinned } = await client.scale(name, instances)
  if (wait) await untilScaled(client, name, instances, timeout * 1000)
  const state = wait ? 'has' : 'will have'
  const pin = pinned ? ` Its policy is paused until 'concord fn scale ${name} --auto'.` : ''
  await (json ? printJson({ name, instances, pinned }) : print(`${name} ${state} ${count(instances)}.${pin}`))
  if (!wait) await tellIfLater(client, name)
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
      const reason =
        detail.rolling?.isBound === true
          ? boundText(detail.rolling.version)
          : (whyOf(detail, detail.version) ?? `it is ${detail.state}`)
      const why = lateText(detail, reason)
      const ours = detail.instances.filter((one) => one.state === 'running' && one.version === detail.version)
      const running = `${count(ours.length)}${olderText(detail, detail.version)}`
      const text = `${name} has ${running} after ${timeoutMs / 1000} s, ${instances} are wanted: ${why}; 'concord fn inspect ${name}' shows more`
      throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
    }
    await sleep(pollMs)
  }
}

function count(instances: number): string {
  return instances === 1 ? '1 instance' : `${instances} instances`
}
