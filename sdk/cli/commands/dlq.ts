/**
 * concord dlq ls | show | redrive | rm: lists, shows, redrives and removes dead letters.
 * @module
 */
import { InvalidArgumentError } from 'commander'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterSummary,
  RedriveAnswer,
  RemoveLettersAnswer,
} from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { wholeNumber } from '../numbers.ts'
import { bold, bytesText, dim, note, print, printJson, red, table } from '../terminal.ts'
import { placeText } from '../text/place-text.ts'
import { cut } from '../width.ts'

interface FilterOptions extends ServerOptions {
  readonly error?: string
  readonly key?: string
  readonly since?: number
  readonly until?: number
}

interface ListOptions extends FilterOptions {
  readonly state: 'waiting' | 'redriven' | 'all'
  readonly limit: number
}

interface RedriveOptions extends FilterOptions {
  readonly id?: readonly string[]
  readonly dryRun?: true
  readonly again?: true
}

interface RemoveOptions extends FilterOptions {
  readonly id?: readonly string[]
  readonly state?: ListOptions['state']
  readonly dryRun?: true
}

const pageMax = 1000

export function addDeadLetters(program: CliCommand): void {
  const dlq = program
    .command('dlq')
    .description('Dead letters: list, show, send back to their streams (redrive), remove.')
  withFilter(dlq.command('ls').description('List dead letters, oldest first.'))
    .option('--state <state>', 'waiting, redriven or all', stateOf, 'waiting')
    .option('--limit <n>', 'show at most this many', wholeNumber(1), 100)
    .printsData('an array of dead letters, without the values of their records')
    .talksToServer()
    .example('concord dlq ls score', 'concord dlq ls --error TypeError --since 2h')
    .action(list)
  dlq
    .command('show')
    .description('Show a dead letter: the record, and the error with its stack.')
    .argument('<id>', 'an id from `concord dlq ls`')
    .printsData()
    .talksToServer()
    .example('concord dlq show 12-0')
    .action(show)
  withFilter(
    dlq
      .command('redrive')
      .description(
        'Send records back to their input streams, in order, and set timers again; each at most once. Say which: a function, or at least one of the options that choose.',
      ),
  )
    .option('--id <id>', 'only this dead letter; may be repeated', addId)
    .option('--dry-run', 'show what would be done')
    .option('--again', 'also those that an interrupted redrive may not have sent')
    .printsData()
    .talksToServer()
    .example('concord dlq redrive score --dry-run', 'concord dlq redrive score --error RangeError --since 1h')
    .action(redrive)
  withFilter(
    dlq
      .command('rm')
      .description(
        'Remove dead letters, and make room for others. Say which: a function, or at least one of the options that choose.',
      ),
  )
    .option('--id <id>', 'only this dead letter; may be repeated', addId)
    .option(
      '--state <state>',
      'waiting, redriven, or all: also what an interrupted redrive left (default: waiting; with --id all)',
      stateOf,
    )
    .option('--dry-run', 'show what would be done')
    .printsData()
    .talksToServer()
    .example(
      'concord dlq rm score --error RangeError --dry-run',
      'concord dlq rm --state redriven',
      'concord dlq rm --since 2026-01-31 --until 2026-02-01',
    )
    .action(remove)
}

function withFilter(command: CliCommand): CliCommand {
  return command
    .argument('[function]', 'only of this function')
    .option('--error <text>', 'only with this text in the error, e.g. TypeError', errorPartOf)
    .option('--key <key>', 'only with this key')
    .option('--since <when>', 'only those that failed since then: 90s, 15m, 2h, 3d, or a date', momentOf)
    .option('--until <when>', 'only those that failed before then', momentOf)
}

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * `15m` means 15 minutes ago. Otherwise expects a date that starts with its year: `Date.parse` would take `3` for a
 * day of 2001.
 */
function momentOf(text: string): number {
  const ago = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text)
  const dateMs = /^\d{4}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  const timeMs = ago === null ? dateMs : Date.now() - Number(ago[1]) * unitsMs[ago[2]!]!
  if (Number.isFinite(timeMs)) return timeMs
  throw new InvalidArgumentError('Expected 90s, 15m, 2h, 3d, or a date as in 2026-01-31T12:00Z.')
}

/** An empty text is in every error: `rm` would remove all letters. */
function errorPartOf(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Expected a part of the error: is a variable of the shell not set?')
}

function stateOf(text: string): ListOptions['state'] {
  if (text === 'waiting' || text === 'redriven' || text === 'all') return text
  throw new InvalidArgumentError('Expected waiting, redriven or all.')
}

function addId(id: string, before: readonly string[] = []): readonly string[] {
  if (/^\d{1,15}-\d{1,5}$/.test(id)) return [...before, id]
  throw new InvalidArgumentError('Expected an id as `concord dlq ls` prints it, as in 12-0.')
}

function filterOf(
  functionName: string | undefined,
  { error, key, since, until }: FilterOptions,
): DeadLetterFilter {
  return {
    ...(functionName === undefined ? {} : { function: functionName }),
    ...(error === undefined ? {} : { error }),
    ...(key === undefined ? {} : { key }),
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
  }
}

async function list(functionName: string | undefined, options: ListOptions): Promise<void> {
  const { state, limit, json } = options
  const client = connect(options)
  const letters: DeadLetterSummary[] = []
  let after: string | undefined
  do {
    const page = Math.min(pageMax, limit - letters.length)
    const answer = await client.deadLetters({
      ...filterOf(functionName, options),
      ...{ state, limit: page },
      ...(after === undefined ? {} : { after }),
    })
    letters.push(...answer.letters)
    after = answer.next
  } while (after !== undefined && letters.length < limit)
  if (letters.length === 0) await assertKnown(client, functionName)
  if (json) return await printJson(letters)
  if (letters.length === 0) return await print(`No dead letters${state === 'all' ? '' : ` are ${state}`}.`)
  const rows = letters.map((letter) => [
    letter.id,
    new Date(letter.failedAtMs).toISOString(),
    `${letter.function} v${letter.version}`,
    letter.timer
      ? `timer for ${timeText(letter.timeMs)}`
      : `${letter.stream}/${letter.partition} #${letter.sequence}`,
    keyText(letter),
    letter.attempts,
    letter.state,
    errorText(letter),
  ])
  await print(table([['ID', 'TIME', 'FUNCTION', 'RECORD', 'KEY', 'ATTEMPTS', 'STATE', 'ERROR'], ...rows]))
  if (after !== undefined) note(dim(`There are more: --limit ${limit * 2} shows twice as many`))
}

/** A removed function is known as long as it has letters. @throws {RefusedError} ERR_FUNCTION_UNKNOWN */
async function assertKnown(client: ConcordClient, functionName: string | undefined): Promise<void> {
  if (functionName === undefined) return
  const { letters } = await client.deadLetters({ function: functionName, state: 'all', limit: 1 })
  if (letters.length === 0) await client.versions(functionName)
}

/** A time that a function has set may be out of the range of dates. */
function timeText(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`
}

function keyText({ key, keyBase64 }: DeadLetterSummary): string {
  return cut(key ?? `base64 ${keyBase64 ?? ''}`, 32)
}

/** The part of a message that other columns show already. */
const saidBeside =
  /^Cannot go on with '[^']*'(?: v\d+)?: the (?:record \d+ of producer \S+ in '[^']*'\/\d+|timer for .{1,30} in partition \d+) \(.*?\) /

function errorText({ error: { name, message, at } }: DeadLetterSummary): string {
  const line = `${name}: ${message.replace(saidBeside, '')}`.replaceAll(/\s+/g, ' ')
  const where = at === undefined || message.endsWith(at) ? '' : ` (${at})`
  return `${cut(line, 100)}${where}`
}

async function show(id: string, options: ServerOptions): Promise<void> {
  const letter = await connect(options).deadLetter(id)
  await (options.json ? printJson(letter) : print(detailText(letter)))
}

function detailText(letter: DeadLetter): string {
  const { stream, partition, producer, sequence, error, attempts, timer } = letter
  const mark = letter.markedAtMs === undefined ? '' : ` since ${new Date(letter.markedAtMs).toISOString()}`
  return [
    `${bold(letter.id)} of ${letter.function} v${letter.version}: ${letter.state}${mark}`,
    timer
      ? `  timer     of partition ${partition}`
      : `  record    ${stream}/${partition} #${sequence} of producer ${producer}`,
    `  key       ${letter.key ?? `base64 ${letter.keyBase64 ?? ''}`}`,
    `  time      ${timeText(letter.timeMs)}`,
    `  failed    ${new Date(letter.failedAtMs).toISOString()}, at attempt ${attempts}`,
    `  error     ${red(`${error.name}: ${error.message}`)}${placeText(error)}`,
    ...(timer
      ? []
      : [
          `  value     ${bytesText(letter.valueBytes)}`,
          '',
          letter.value ?? `base64 ${letter.valueBase64 ?? ''}`,
        ]),
    ...(error.stack === '' ? [] : ['', dim(error.stack)]),
  ].join('\n')
}

async function redrive(functionName: string | undefined, options: RedriveOptions): Promise<void> {
  const { id, dryRun = false, again = false, json } = options
  const chosen = { ...filterOf(functionName, options), ...(id === undefined ? {} : { ids: id }) }
  assertChosen(chosen, 'redrive', 'All readers of their streams get them again')
  const request = { ...chosen, dryRun, again }
  const client = connect(options)
  const answer = await redriveAll(client, request)
  if (answer.matched === 0) await assertKnown(client, functionName)
  if (json) return await printJson(answer)
  await print(answerText(answer, dryRun))
}

/** @throws {CodedError} ERR_USAGE if all letters of all functions would be meant. */
function assertChosen(chosen: object, verb: 'redrive' | 'remove', warning: string): void {
  if (Object.keys(chosen).length > 0) return
  const options = `${verb === 'remove' ? '--state, ' : ''}--error, --key, --since, --until or --id`
  const text = `Cannot ${verb} dead letters without knowing which: name a function, or give ${options}. ${warning}`
  throw new CodedError<CliErrorCode>('ERR_USAGE', text)
}

async function redriveAll(
  client: ConcordClient,
  request: Parameters<ConcordClient['redrive']>[0],
): Promise<RedriveAnswer> {
  const streams = new Map<string, RedriveAnswer['streams'][number]>()
  let timers = 0
  let matched = 0
  let redriven = 0
  let after: string | undefined
  do {
    const answer = await client.redrive({ ...request, ...(after === undefined ? {} : { after }) })
    matched += answer.matched
    redriven += answer.redriven
    timers += answer.timers ?? 0
    for (const row of answer.streams)
      streams.set(row.stream, { ...row, records: row.records + (streams.get(row.stream)?.records ?? 0) })
    after = answer.next
  } while (after !== undefined)
  return { matched, redriven, ...(timers > 0 && { timers }), streams: [...streams.values()] }
}

function answerText({ matched, redriven, timers = 0, streams }: RedriveAnswer, dryRun: boolean): string {
  if (matched === 0) return 'Nothing to redrive.'
  const to = streams.map(
    ({ stream, records, readBy }) => `  ${records} to ${stream}, read by ${readBy.join(', ') || 'nobody'}`,
  )
  const head = dryRun ? `${matched} would be redriven:` : `${redriven} redriven:`
  const others = matched - redriven
  const tail = dryRun || others === 0 ? [] : [`  ${others} were taken by another redrive meanwhile`]
  const set = timers === 0 ? [] : [`  ${timers} timer${timers === 1 ? '' : 's'} set again`]
  return [head, ...to, ...set, ...tail].join('\n')
}

async function remove(functionName: string | undefined, options: RemoveOptions): Promise<void> {
  const { id, state, dryRun = false, json } = options
  const chosen = {
    ...filterOf(functionName, options),
    ...(id === undefined ? {} : { ids: id }),
    ...(state === undefined ? {} : { state }),
  }
  assertChosen(chosen, 'remove', 'Removed letters are gone')
  const client = connect(options)
  const answer = { matched: 0, removed: 0, freedBytes: 0 }
  let after: string | undefined
  do {
    const part: RemoveLettersAnswer = await client.removeDeadLetters({
      ...{ ...chosen, dryRun },
      ...(after === undefined ? {} : { after }),
    })
    answer.matched += part.matched
    answer.removed += part.removed
    answer.freedBytes += part.freedBytes
    after = part.next
  } while (after !== undefined)
  if (answer.matched === 0) await assertKnown(client, functionName)
  if (json) return await printJson(answer)
  const { matched, removed, freedBytes } = answer
  if (matched === 0 && freedBytes === 0) return await print('Nothing to remove.')
  const what = dryRun ? `${matched} would be removed` : `${removed} removed`
  await print(freedBytes === 0 ? `${what}.` : `${what}, ${bytesText(freedBytes)} freed.`)
  if (freedBytes === 0) note('their room is free once the letters that are stored with them are removed too')
}
