/**
 * concord produce STREAM: sends the lines of a file or of standard input as records.
 * @module
 */
import { createReadStream, statSync } from 'node:fs'
import { type ConcordClient, type Produced, ProduceError, RefusedError } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { type CliErrorCode, exitCodes } from '../errors.ts'
import { positiveNumber } from '../numbers.ts'
import { Outage, patienceMs } from '../outage.ts'
import {
  type Batch,
  batchesOf,
  keyedByField,
  keyedByTab,
  type LineParser,
  paced,
  recordLines,
  valueLines,
} from '../record-source.ts'
import { bar, note, Progress, print, printJson, shortNumber } from '../terminal.ts'

interface ProduceCommandOptions extends ServerOptions {
  readonly file?: string
  readonly key?: string
  readonly keyField?: string
  readonly keyTab?: true
  readonly ndjson?: true
  readonly keepPartitions?: true
  readonly rate?: number
  readonly atLeastOnce?: true
}

const readBytesAimed = 256 * 1024

export function addProduce(program: CliCommand): void {
  program
    .command('produce')
    .summary('Send records to a stream.')
    .description(
      'Send records to a stream: one per line of a file or of standard input, empty lines included. They have no key unless you give --key, --key-field or --key-tab, which reads what `concord consume` prints.',
    )
    .argument('<stream>', 'the stream')
    .option('-f, --file <file>', 'read this file (default: standard input)')
    .option('-k, --key <key>', 'the key of every record')
    .option('--key-field <field>', 'each line is a JSON object, and this field of it is the key')
    .option(
      '--key-tab',
      'each line is key, tab, value, as `concord consume` prints it; one without a tab has no key',
    )
    .option(
      '--ndjson',
      'each line is a whole record: {"key": …, "value": …, "timeMs": …}, as `concord consume --json` prints it',
    )
    .option(
      '--keep-partitions',
      'with --ndjson: send a record to the "partition" that its line names; without this option its key decides',
    )
    .option('--rate <n>', 'at most this many records a second', positiveNumber)
    .option(
      '--at-least-once',
      'if a gateway breaks off, send its unanswered records again: they may arrive twice, but are not lost',
    )
    .printsData(
      '{"accepted": N, "unknown": N}; unknown: records for which a gateway broke off before it answered',
    )
    .talksToServer()
    .example(
      'echo hello | concord produce words',
      'concord produce lines --file access.log --rate 5000',
      'concord consume verdicts | concord produce checked --key-tab',
      'concord produce verdicts --ndjson --file verdicts.ndjson',
    )
    .action(produce)
}

async function produce(stream: string, options: ProduceCommandOptions): Promise<void> {
  const client = connect(options)
  const parse = parserOf(options)
  const { chunks, totalBytes } = openSource(options.file)
  const batches = batchesOf(chunks, parse)
  const sent = { accepted: 0, unknown: 0 }
  tellWhenInterrupted(sent, options.json === true)
  const paces = options.rate === undefined ? batches : paced(batches, options.rate)
  try {
    await sendAll(client, stream, paces, totalBytes, sent, options.atLeastOnce === true)
  } finally {
    if (options.json) await printJson(sent)
  }
  if (!options.json) await print(`${recordsText(sent.accepted)} accepted.`)
  if (sent.accepted > 0) await tellIfUnread(client, stream)
  if (sent.unknown === 0) return
  if (options.atLeastOnce) return note(`${recordsText(sent.unknown)} of them may have arrived twice`)
  note(`${unknownText(sent.unknown)}. They were not sent again; --at-least-once would have`)
  process.exitCode = exitCodes.failed
}

/** What was accepted stays so: whoever cannot be asked now is not asked. */
async function tellIfUnread(client: ConcordClient, stream: string): Promise<void> {
  const streams = await client.streams().catch(() => undefined)
  const found = streams?.find(({ name }) => name === stream)
  if (found === undefined || found.raw || found.consumers.length > 0) return
  note(`no function reads '${stream}': only followers (\`concord consume\`) got these records`)
}

interface Sent {
  accepted: number
  unknown: number
}

/** On a signal, says how many records were accepted so far. */
function tellWhenInterrupted(sent: Readonly<Sent>, json: boolean): void {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      const { accepted, unknown } = sent
      if (json) process.stdout.write(`${JSON.stringify({ accepted, unknown })}\n`)
      const and = unknown === 0 ? '' : `; ${unknownText(unknown)}`
      note(`ended by ${signal}: ${recordsText(accepted)} accepted, not counting a request in flight${and}`)
      process.exit(exitCode)
    })
}

function recordsText(records: number): string {
  return `${records} ${records === 1 ? 'record' : 'records'}`
}

function unknownText(records: number): string {
  return `${recordsText(records)} unknown: a gateway broke off before it had answered for them`
}

function parserOf({ key, keyField, keyTab, ndjson, keepPartitions }: ProduceCommandOptions): LineParser {
  if ([key, keyField, keyTab, ndjson].filter((option) => option !== undefined).length > 1) {
    throw new CodedError<CliErrorCode>(
      'ERR_USAGE',
      'Cannot combine --key, --key-field, --key-tab and --ndjson: give one of them',
    )
  }
  if (keepPartitions && !ndjson) {
    throw new CodedError<CliErrorCode>(
      'ERR_USAGE',
      'Cannot use --keep-partitions without --ndjson: no other lines name a partition',
    )
  }
  if (ndjson) return keepPartitions ? recordLines : withoutPartitions(recordLines)
  if (keyTab) return keyedByTab
  return keyField === undefined ? valueLines(key) : keyedByField(keyField)
}

/** Drops the partition of lines that `concord consume --json` wrote: it need not be right for another stream. */
function withoutPartitions(parse: LineParser): LineParser {
  let isNoted = false
  return (line, number) => {
    const { partition, ...record } = parse(line, number)
    if (partition !== undefined && !isNoted) {
      note('the lines name partitions, which are left out: each key decides. --keep-partitions keeps them')
      isNoted = true
    }
    return record
  }
}

function openSource(file: string | undefined): {
  chunks: AsyncIterable<Buffer>
  totalBytes: number | undefined
} {
  if (file === undefined || file === '-') return { chunks: process.stdin, totalBytes: undefined }
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found || found.isDirectory()) {
    const text = `Cannot read ${file}: ${found ? 'it is a folder' : 'there is no such file'}`
    throw new CodedError<CliErrorCode>('ERR_FILE_MISSING', text)
  }
  return { chunks: createReadStream(file, { highWaterMark: readBytesAimed }), totalBytes: found.size }
}

async function sendAll(
  client: ConcordClient,
  stream: string,
  batches: AsyncIterable<Batch>,
  totalBytes: number | undefined,
  sent: Sent,
  atLeastOnce: boolean,
): Promise<void> {
  const progress = new Progress()
  const startedMs = performance.now()
  const outage = new Outage()
  let saidSlow = false
  const onWait = (_waitMs: number, why: Error) => {
    if (!(why instanceof RefusedError && why.status === 429)) return outage.began(why)
    if (!saidSlow) note('the gateway is busy: slowing down to its pace')
    saidSlow = true
  }
  const add = ({ accepted, unknown }: Produced) => {
    sent.accepted += accepted
    sent.unknown += unknown
  }
  const whenUnknown = atLeastOnce ? 'repeat' : 'skip'
  try {
    for await (const { records, readBytes } of batches) {
      const produced = await client.produce(stream, records, { onWait, whenUnknown, stallMs: patienceMs })
      add(produced)
      if (produced.accepted > 0) outage.ended()
      progress.update(() => {
        const rate = `${shortNumber(sent.accepted / ((performance.now() - startedMs) / 1000))}/s`
        const share = totalBytes ? `${bar(readBytes / totalBytes)} ` : ''
        return `${share}${shortNumber(sent.accepted)} records, ${rate}`
      })
    }
    if (sent.accepted + sent.unknown === 0) await client.produce(stream, [], { onWait, stallMs: patienceMs })
  } catch (error) {
    if (error instanceof ProduceError) add(error)
    if (!(error instanceof CodedError)) throw error
    throw new ProduceError(sent, error instanceof ProduceError ? error.cause : error)
  } finally {
    progress.clear()
  }
}
