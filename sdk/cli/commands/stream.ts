/**
 * concord stream ls | inspect | create | rm: lists, shows, creates and removes streams.
 * @module
 */
import type { StreamSummary } from '../../api/index.ts'
import type { StreamDetail } from '../../api/readers.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { wholeNumber } from '../numbers.ts'
import { print, printJson, table } from '../terminal.ts'
import { heldBackText } from '../text/held-back-text.ts'
import { ledgerTable } from '../text/ledger-text.ts'

interface CreateOptions extends ServerOptions {
  readonly partitions?: number
  readonly raw?: boolean
}

export function addStreams(program: CliCommand): void {
  const stream = program.command('stream').description('Streams: list, inspect, create, remove.')
  stream
    .command('ls')
    .description('List the streams, with their producers and consumers.')
    .printsData('an array of streams')
    .talksToServer()
    .action(list)
  stream
    .command('inspect')
    .summary('Show a stream: who writes it, and for each reader how many records wait, and for how long.')
    .description(
      'Show a stream: who writes it, and the account of each reader. IN FLIGHT is how many records were sent and wait for it, or are being processed; LAG is how long the oldest of them has waited.',
    )
    .argument('<name>', 'the stream')
    .printsData()
    .talksToServer()
    .example('concord stream inspect words')
    .action(inspect)
  const creating = stream
    .command('create')
    .description(
      'Create a stream, or change whether it is also published raw. The number of partitions of a stream never changes.',
    )
    .argument('<name>', 'a lower-case letter, then letters, digits or dashes')
    .option('--partitions <n>', 'how many partitions (a new stream: 16)', wholeNumber(1))
    .option('--raw', 'also publish each record as one plain NATS message')
    .option('--no-raw', 'do so no longer')
    .printsData()
    .talksToServer()
    .example('concord stream create clicks --partitions 32')
    .action(create)
  refuseBoth(creating, ['raw', 'no-raw'])
  stream
    .command('rm')
    .description('Remove a stream that no function uses; records in flight are lost.')
    .argument('<name>', 'the stream')
    .printsData()
    .talksToServer()
    .action(remove)
}

/** Of an option and its opposite the last one would win, without a word. */
function refuseBoth(command: CliCommand, flags: readonly string[]): void {
  const given = new Set<string>()
  for (const flag of flags) {
    command.on(`option:${flag}`, () => {
      if (given.add(flag).size === 2)
        command.error(`error: --${flags.join(' and --')} are opposites: give one of them`)
    })
  }
}

async function list(options: ServerOptions): Promise<void> {
  const streams = await connect(options).streams()
  if (options.json) return await printJson(streams)
  if (streams.length === 0)
    return await print('No streams yet: deploying a function creates the streams that it names.')
  const rows = streams.map(({ name, partitions, raw, producers, consumers }) => [
    name,
    partitions,
    raw ? 'yes' : 'no',
    producers.join(', ') || '-',
    consumers.join(', ') || '-',
  ])
  await print(table([['STREAM', 'PARTITIONS', 'RAW', 'PRODUCERS', 'CONSUMERS'], ...rows]))
}

async function inspect(name: string, options: ServerOptions): Promise<void> {
  const detail = await connect(options).inspectStream(name)
  await (options.json ? printJson(detail) : print(detailText(detail)))
}

function detailText({
  unheard,
  noJetStream,
  producers,
  readers,
  heldBackBy,
  ...stream
}: StreamDetail): string {
  const written = producers.length === 0 ? 'No function writes it.' : `Written by ${producers.join(', ')}.`
  const rows = readers.map((row) => ({ cells: [row.reader, instancesText(row), row.backPressure], row }))
  const read =
    rows.length === 0
      ? 'Nobody reads it that it waits for.'
      : ledgerTable(['READER', 'INSTANCES', 'BACK-PRESSURE'], rows)
  return [unheard ?? noJetStream, `${streamText(stream)} ${written}`, read, heldBackText(heldBackBy)]
    .filter(Boolean)
    .join('\n')
}

function instancesText({ instancesRunning, instancesWanted }: StreamDetail['readers'][number]): string {
  return instancesRunning === undefined ? '-' : `${instancesRunning} of ${instancesWanted}`
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { partitions, raw } = options
  const stream = await connect(options).createStream(name, {
    ...(partitions && { partitions }),
    ...(raw !== undefined && { raw }),
  })
  await (options.json
    ? printJson({ name, created: stream.created, partitions: stream.partitions, raw: stream.raw })
    : print(streamText(stream)))
}

/** How the stream is now: it may have existed, and may have been changed. */
function streamText({ name, partitions, raw }: Pick<StreamSummary, 'name' | 'partitions' | 'raw'>): string {
  const count = `${partitions} partition${partitions === 1 ? '' : 's'}`
  return `Stream ${name} has ${count}, and is ${raw ? 'also' : 'not'} published raw.`
}

async function remove(name: string, options: ServerOptions): Promise<void> {
  await connect(options).removeStream(name)
  await (options.json ? printJson({ name, removed: true }) : print(`Stream ${name} is removed.`))
}
