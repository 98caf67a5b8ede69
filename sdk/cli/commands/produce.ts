/**
 * concord produce STREAM: sends the lines of a file or of standard input as records.
 * @module
 */
import { createReadStream, statSync } from 'node:fs'
import { type ConcordClient, ProduceError } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { positiveNumber } from '../numbers.ts'
import {
  type Batch,
  batchesOf,
  keyedByField,
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
  readonly ndjson?: true
  readonly rate?: number
}

const readBytesAimed = 256 * 1024

export function addProduce(program: CliCommand): void {
  program
    .command('produce')
    .description('Send records to a stream: each line of a file or of standard input is one.')
    .argument('<stream>', 'the stream')
    .option('-f, --file <file>', 'read this file; else standard input')
    .option('-k, --key <key>', 'the key of every record')
    .option('--key-field <field>', 'each line is a JSON object; this field of it is the key')
    .option('--ndjson', 'each line is a whole record: {"key": …, "value": …, "timeMs": …}')
    .option('--rate <n>', 'at most so many records a second', positiveNumber)
    .printsData('{"accepted": N}')
    .talksToServer()
    .example('echo hello | concord produce words', 'concord produce lines --file access.log --rate 5000')
    .action(produce)
}

async function produce(stream: string, options: ProduceCommandOptions): Promise<void> {
  const client = connect(options)
  const parse = parserOf(options)
  const { chunks, totalBytes } = openSource(options.file)
  const batches = batchesOf(chunks, parse)
  const sent = { records: 0 }
  tellWhenInterrupted(sent, options.json === true)
  try {
    await sendAll(
      client,
      stream,
      options.rate === undefined ? batches : paced(batches, options.rate),
      totalBytes,
      sent,
    )
  } finally {
    if (options.json) await printJson({ accepted: sent.records })
  }
  if (!options.json) await print(`${recordsText(sent.records)} accepted.`)
}

/** Who ends it by a signal is told how far it has come. */
function tellWhenInterrupted(sent: { readonly records: number }, json: boolean): void {
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      const { records } = sent
      if (json) process.stdout.write(`${JSON.stringify({ accepted: records })}\n`)
      note(
        `ended by ${signal}: ${recordsText(records)} accepted before the request under way, if there was one`,
      )
      process.exit(exitCode)
    })
}

function recordsText(records: number): string {
  return `${records} ${records === 1 ? 'record' : 'records'}`
}

function parserOf({ key, keyField, ndjson }: ProduceCommandOptions): LineParser {
  if ([key, keyField, ndjson].filter((option) => option !== undefined).length > 1) {
    throw new CodedError<CliErrorCode>(
      'ERR_USAGE',
      'Cannot combine --key, --key-field and --ndjson: give one of them',
    )
  }
  if (ndjson) return recordLines
  return keyField === undefined ? valueLines(key) : keyedByField(keyField)
}

function openSource(file: string | undefined): {
  chunks: AsyncIterable<Buffer>
  totalBytes: number | undefined
} {
  if (file === undefined || file === '-') return { chunks: process.stdin, totalBytes: undefined }
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found || found.isDirectory()) {
    const text = `Cannot read ${file}: there is no such file`
    throw new CodedError<CliErrorCode>('ERR_FILE_MISSING', text)
  }
  return { chunks: createReadStream(file, { highWaterMark: readBytesAimed }), totalBytes: found.size }
}

async function sendAll(
  client: ConcordClient,
  stream: string,
  batches: AsyncIterable<Batch>,
  totalBytes: number | undefined,
  sent: { records: number },
): Promise<void> {
  const progress = new Progress()
  const startedMs = performance.now()
  let saidSlow = false
  const onWait = () => {
    if (!saidSlow) note('the gateway takes no more for now: slowing down to its pace')
    saidSlow = true
  }
  try {
    for await (const { records, readBytes } of batches) {
      sent.records += (await client.produce(stream, records, { onWait })).accepted
      progress.update(() => {
        const rate = `${shortNumber(sent.records / ((performance.now() - startedMs) / 1000))}/s`
        const share = totalBytes ? `${bar(readBytes / totalBytes)} ` : ''
        return `${share}${shortNumber(sent.records)} records, ${rate}`
      })
    }
  } catch (error) {
    if (!(error instanceof ProduceError)) throw error
    sent.records += error.accepted
    throw new ProduceError(sent.records, error.cause)
  } finally {
    progress.clear()
  }
}
