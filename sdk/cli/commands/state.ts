/**
 * concord fn state NAME [KEY]: what a key has in the state of a running function, or how much state there is.
 * @module
 */
import { CodedError } from '../../errors.ts'
import { isBase64 } from '../../wire/base64.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { wholeNumber } from '../numbers.ts'
import { dim, note, print, printJson } from '../terminal.ts'
import { foundText, remarksOf, sizesText } from '../text/state-text.ts'

interface StateCommandOptions extends ServerOptions {
  readonly keyBase64?: string
  readonly partition?: number
}

export function addState(fn: CliCommand): void {
  fn.command('state')
    .summary('Show what a key has in the state of a running function, or how much state there is.')
    .description(
      'Show what a key has in the state of a running function: its value, counter, list, windows and timers, in each partition. Without a key: how much state each partition has. Nothing is changed. Long values and lists are cut.',
    )
    .argument('<name>', 'the function')
    .argument(
      '[key]',
      "the key of getState, counter and so on, as text; often that of the function's records",
    )
    .option('--key-base64 <bytes>', 'a key that is not text')
    .option('--partition <n>', 'only this partition (default: all)', wholeNumber(0))
    .printsData()
    .talksToServer()
    .example('concord fn state score card-42', 'concord fn state score')
    .action(state)
}

async function state(name: string, key: string | undefined, options: StateCommandOptions): Promise<void> {
  const { keyBase64, partition, json } = options
  if (key !== undefined && keyBase64 !== undefined)
    throw new CodedError<CliErrorCode>('ERR_USAGE', 'Give the key as text or by --key-base64, not both')
  if (keyBase64 !== undefined && !isBase64(keyBase64))
    throw new CodedError<CliErrorCode>('ERR_USAGE', `--key-base64 is not base64: '${keyBase64}'`)
  const bytes = keyBase64 === undefined ? key : Buffer.from(keyBase64, 'base64')
  const answer = await connect(options).state(name, { key: bytes, partition })
  if (json) return await printJson(answer)
  const { keyPartition } = answer
  if (bytes === undefined)
    await print(sizesText(answer) ?? `What was read of ${name} has no state and no timers.`)
  else
    await print(
      foundText(answer) ?? `${key ?? `base64 ${keyBase64}`} has nothing in what was read of ${name}.`,
    )
  for (const remark of remarksOf(answer)) note(dim(remark))
  if (keyPartition !== undefined) note(dim(`records of this key go to partition ${keyPartition}`))
}
