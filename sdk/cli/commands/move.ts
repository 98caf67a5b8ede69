/**
 * concord fn move NAME PARTITION… --to INSTANCE | --back: which instance has a partition, by hand.
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
import { boundText } from '../text/rolling-text.ts'

interface MoveOptions extends ServerOptions {
  readonly to?: string
  readonly back?: true
  readonly wait: boolean
  readonly timeout: number
}

const pollMs = 50
const number = wholeNumber(0)

export function addMove(fn: CliCommand): void {
  fn.command('move')
    .description(
      'Move partitions of a function to one of its instances, with their state and timers, and keep them there; or let them go back. Nothing is lost or restarted.',
    )
    .argument('<name>', 'the function')
    .argument(
      '[partition...]',
      'which; with --back and none, all that were moved',
      (text, before: number[] = []) => [...before, number(text)],
    )
    .option('--to <id>', 'the instance that is to have them, e.g. score-1')
    .option('--back', 'let them go back to where their number puts them')
    .option('--no-wait', 'return when it is wanted, before it is so')
    .option('--timeout <s>', 'how long to wait until it is so', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .example(
      'concord fn move score 3 7 --to score-1',
      'concord fn move score 3 --back',
      'concord fn move score --back',
    )
    .action(move)
}

async function move(name: string, partitions: number[], options: MoveOptions): Promise<void> {
  const { to, back = false, wait, timeout, json } = options
  if ((to === undefined) !== back || (to !== undefined && partitions.length === 0)) {
    const text = `Say which partitions are to be where ('concord fn move ${name} 3 7 --to ${name}-1'), or that they are to go '--back'`
    throw new CodedError<CliErrorCode>('ERR_USAGE', text)
  }
  const client = connect(options)
  if (to === undefined) {
    const answer = await client.moveBack(name, partitions.length === 0 ? undefined : partitions)
    return await (json
      ? printJson({ name, ...answer })
      : print(`${backText(name, partitions, answer.changed.length > 0)}.`))
  }
  const answer = await client.move(name, partitions, to)
  if (wait) await untilMoved(client, name, partitions, to, timeout * 1000)
  const text = `${to} ${wait ? 'has' : 'will have'} ${partitionsText(partitions)} of ${name}.`
  await (json ? printJson({ name, ...answer }) : print(text))
}

async function untilMoved(
  client: ConcordClient,
  name: string,
  partitions: readonly number[],
  to: string,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    const { instances, rolling } = await client.inspect(name)
    const taker = instances.find(({ id }) => id === to)
    const missing = partitions.filter((partition) => taker?.partitions?.includes(partition) !== true)
    if (missing.length === 0) return
    if (performance.now() > deadlineMs) {
      const why =
        rolling?.isBound === true
          ? boundText(rolling.version)
          : (taker?.why ??
            (taker === undefined ? 'there is no such instance any more' : `it is ${taker.state}`))
      const text = `${to} does not have ${partitionsText(missing)} of ${name} after ${timeoutMs / 1000} s: ${why}; 'concord fn inspect ${name}' shows more`
      throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
    }
    await sleep(pollMs)
  }
}

function backText(name: string, partitions: readonly number[], goes: boolean): string {
  if (partitions.length === 1)
    return `Partition ${partitions[0]} of ${name} is ${goes ? 'to go ' : ''}where its number puts it`
  const which = partitions.length === 0 ? 'All partitions' : `Partitions ${partitions.join(', ')}`
  return `${which} of ${name} are ${goes ? 'to go ' : ''}where their numbers put them`
}

function partitionsText(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
}
