/**
 * concord fn state NAME [KEY]: what a key has in the state of a running function, what is stored, or how much.
 * @module
 */
import type { FunctionState } from '../../api/state.ts'
import { CodedError } from '../../errors.ts'
import { isBase64 } from '../../wire/base64.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { wholeNumber } from '../numbers.ts'
import { dim, note, print, printJson } from '../terminal.ts'
import { foundText, listedText, remarksOf, sizesText } from '../text/state-text.ts'

/** As the API takes it (sdk/api/state.ts); the CLI loads no schemas. */
const listedMax = 1000

interface StateCommandOptions extends ServerOptions {
  readonly keyBase64?: string
  readonly partition?: number
  readonly prefix?: string
  readonly limit?: number
  readonly cursor?: string
  readonly sizes?: boolean
}

export function addState(fn: CliCommand): void {
  fn.command('state')
    .summary('Show what a key has in the state of a running function, or list what is stored.')
    .description(
      'Show what a key has in the state of a running function: its value, counter, list, windows and timers, in each partition. Without a key: list what is stored, one partition after the other, the keys of each in no order that means anything. Nothing is changed. Long values and lists are cut.',
    )
    .argument('<name>', 'the function')
    .argument(
      '[key]',
      "the key of getState, counter and so on, as text; often that of the function's records",
    )
    .whereEmpty('key', '--key-base64=')
    .option('--key-base64 <bytes>', 'a key that is not text; --key-base64= for the empty key')
    .option('--partition <n>', 'only this partition (default: all)', wholeNumber(0))
    .option('--prefix <text>', 'list keys that begin so')
    .option(
      '--limit <n>',
      `list at most about this many, up to ${listedMax} (default: 100)`,
      wholeNumber(1, listedMax),
    )
    .option('--cursor <cursor>', 'list on from where the list before has ended, which says it')
    .option('--sizes', 'show how much each partition has instead')
    .printsData()
    .talksToServer()
    .example(
      'concord fn state score card-42',
      'concord fn state score --prefix card-',
      'concord fn state score --sizes',
    )
    .action(state)
}

async function state(name: string, key: string | undefined, options: StateCommandOptions): Promise<void> {
  const { keyBase64, partition, prefix, limit, cursor, sizes, json } = options
  if (key !== undefined && keyBase64 !== undefined)
    throw usage('Give the key as text or by --key-base64, not both')
  if (keyBase64 !== undefined && !isBase64(keyBase64))
    throw usage(`--key-base64 is not base64: '${keyBase64}'`)
  const bytes = keyBase64 === undefined ? key : Buffer.from(keyBase64, 'base64')
  const listing = [prefix, limit, cursor].some((one) => one !== undefined)
  if ((listing || sizes) && bytes !== undefined)
    throw usage('--prefix, --limit, --cursor and --sizes are for a list, without a key')
  if (listing && sizes) throw usage('--sizes lists nothing: leave out --prefix, --limit and --cursor')
  const list = sizes ? { limit: 0 } : { prefix, limit, cursor }
  const answer = await connect(options).state(name, { key: bytes, partition, ...list })
  if (json) return await printJson(answer)
  const shown = bytes !== undefined ? foundText(answer) : sizes ? sizesText(answer) : listedText(answer)
  await print(shown ?? nothingText(answer, { what: key ?? `base64 ${keyBase64}`, ...options, bytes }))
  for (const remark of remarksOf(answer)) note(dim(remark))
  const { keyPartition } = answer
  if (keyPartition !== undefined) note(dim(`records of this key go to partition ${keyPartition}`))
  if (answer.cursor !== undefined)
    note(dim(`there may be more: --cursor ${answer.cursor} shows what follows`))
}

interface Asked {
  readonly what: string
  readonly bytes: string | Uint8Array | undefined
  readonly prefix?: string
  readonly cursor?: string
}

function nothingText(
  { function: name, cursor, unread }: FunctionState,
  { what, bytes, prefix, cursor: from }: Asked,
): string {
  const read = `what was read of ${name}${unread.length === 0 ? '' : ', which is not all'}`
  if (bytes !== undefined) return `${what} has nothing in ${read}.`
  const soFar = cursor === undefined ? '' : ' so far'
  if (from !== undefined && cursor === undefined) return `Nothing follows in ${read}.`
  if (prefix !== undefined) return `No key begins with ${prefix} in ${read}${soFar}.`
  return `What was read of ${name}${soFar} has no state and no timers.`
}

function usage(text: string): Error {
  return new CodedError<CliErrorCode>('ERR_USAGE', text)
}
