/**
 * concord stream ls | create | rm
 * @module
 */
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { wholeNumber } from '../numbers.ts'
import { print, printJson, table } from '../terminal.ts'

interface CreateOptions extends ServerOptions {
  readonly partitions?: number
  readonly raw?: true
}

export function addStreams(program: CliCommand): void {
  const stream = program.command('stream').description('Streams: list, create, remove.')
  stream
    .command('ls')
    .description('List the streams with who produces and who consumes them.')
    .printsData('an array of streams')
    .talksToServer()
    .action(list)
  stream
    .command('create')
    .description('Create a stream, or change one that nobody uses yet.')
    .argument('<name>', 'lower case: a letter, then letters, digits or dashes')
    .option('--partitions <n>', 'how many partitions (default 16)', wholeNumber(1))
    .option('--raw', 'also publish each record as one plain NATS message')
    .printsData()
    .talksToServer()
    .example('concord stream create clicks --partitions 32')
    .action(create)
  stream
    .command('rm')
    .description('Remove a stream that no function uses; what is on its way in it is given up.')
    .argument('<name>', 'the stream')
    .printsData()
    .talksToServer()
    .action(remove)
}

async function list(options: ServerOptions): Promise<void> {
  const streams = await connect(options).streams()
  if (options.json) return await printJson(streams)
  const rows = streams.map(({ name, partitions, raw, producers, consumers }) => [
    name,
    partitions,
    raw ? 'yes' : 'no',
    producers.join(', ') || '-',
    consumers.join(', ') || '-',
  ])
  await print(table([['STREAM', 'PARTITIONS', 'RAW', 'PRODUCERS', 'CONSUMERS'], ...rows]))
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const { partitions, raw } = options
  await connect(options).createStream(name, { ...(partitions && { partitions }), ...(raw && { raw }) })
  await (options.json ? printJson({ name, created: true }) : print(`stream ${name} is there.`))
}

async function remove(name: string, options: ServerOptions): Promise<void> {
  await connect(options).removeStream(name)
  await (options.json ? printJson({ name, removed: true }) : print(`stream ${name} is removed.`))
}
