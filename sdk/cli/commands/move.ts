/**
 * concord fn move NAME PARTITION… --to INSTANCE | --back: moves partitions by hand, and back.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { tellIfLater } from '../later.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { print, printJson } from '../terminal.ts'
import { lateText } from '../text/late-text.ts'
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
      'Move partitions of a function, with state and timers, to one of its instances and keep them there; or move them back. Nothing is lost or restarted.',
    )
    .argument('<name>', 'the function')
    .argument(
      '[partition...]',
      'the partitions; with --back and none given, all that were moved',
      (text, before: number[] = []) => [...before, number(text)],
    )
    .option('--to <id>', 'the instance that gets them, e.g. score-1')
    .option('--back', 'move them back to the instance given by their number')
    .option('--no-wait', 'return before it is done')
    .option('--timeout <s>', 'how long to wait for that', positiveNumber, 60)
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
    const text = `Say which partitions go where ('concord fn move ${name} 3 7 --to ${name}-1'), or '--back'`
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
  if (!wait) await tellIfLater(client, name)
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
    const detail = await client.inspect(name)
    const { instances, rolling } = detail
    const taker = instances.find(({ id }) => id === to)
    const missing = partitions.filter((partition) => taker?.partitions?.includes(partition) !== true)
    if (missing.length === 0) return
    if (performance.now() > deadlineMs) {
      const reason =
        rolling?.isBound === true
          ? boundText(rolling.version)
          : (taker?.why ?? (taker === undefined ? 'that instance no longer exists' : `it is ${taker.state}`))
      const why = lateText(detail, reason)
      const text = `${to} does not have ${partitionsText(missing)} of ${name} after ${timeoutMs / 1000} s: ${why}; 'concord fn inspect ${name}' shows more`
      throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
    }
    await sleep(pollMs)
  }
}

function backText(name: string, partitions: readonly number[], goes: boolean): string {
  if (partitions.length === 1)
    return `Partition ${partitions[0]} of ${name} ${goes ? 'moves back to' : 'is on'} the instance given by its number`
  const which = partitions.length === 0 ? 'All partitions' : `Partitions ${partitions.join(', ')}`
  return `${which} of ${name} ${goes ? 'move back to' : 'are on'} the instances given by their numbers`
}

function partitionsText(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`
}
