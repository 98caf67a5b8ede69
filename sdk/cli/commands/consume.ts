/**
 * concord consume STREAM: prints what passes through a stream from now on.
 * @module
 */
import type { FollowEvent, RecordOutput } from '../../api/index.ts'
import { isRecord } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { Outage, patienceMs } from '../outage.ts'
import { dim, note, print, printJson } from '../terminal.ts'

interface ConsumeOptions extends ServerOptions {
  readonly count?: number
  readonly hold?: true
  readonly timeout?: number
}

export function addConsume(program: CliCommand): void {
  program
    .command('consume')
    .summary('Print the records that pass through a stream from now on.')
    .description(
      'Print the records that pass through a stream from now on: key, tab, value, as `concord produce --key-tab` reads them; a record without a key is its value alone. For bytes, line breaks and keys with a tab take --json.',
    )
    .argument('<stream>', 'the stream')
    .option('-n, --count <n>', 'end after this many records', wholeNumber(1))
    .option('--hold', 'slow the stream down to the pace of this reader, so that it misses nothing')
    .option(
      '--timeout <s>',
      'end after this many seconds; with fewer records than --count, that is a failure',
      positiveNumber,
    )
    .printsData('each record as one JSON line')
    .talksToServer()
    .example(
      'concord consume verdicts --count 10',
      'concord consume verdicts --hold --json > verdicts.ndjson',
      'concord consume verdicts --count 1000 > verdicts.tsv',
    )
    .action(consume)
}

async function consume(stream: string, options: ConsumeOptions): Promise<void> {
  const { count, hold = false, json, timeout } = options
  const client = connect(options)
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout * 1000)
  const outage = new Outage()
  const onAway = (_waitMs: number, why: Error) => outage.began(why)
  let seen = 0
  let wasReady = false
  try {
    for await (const line of client.follow(stream, { hold, count, signal, resumeMs: patienceMs, onAway })) {
      if (!isRecord(line)) {
        if (line.event === 'ready') outage.ended()
        noteEvent(stream, line, hold, wasReady)
        wasReady = true
      } else {
        await (json ? printJson(line) : print(recordLine(line)))
        if (++seen === count) return
      }
    }
  } catch (error) {
    if (!signal?.aborted) throw error
    if (count === undefined) return
    const text = `Cannot wait any longer for stream '${stream}': ${seen} of ${count} records came in ${timeout} s`
    throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
  }
}

function noteEvent(stream: string, event: FollowEvent, hold: boolean, again: boolean): void {
  if (event.event === 'gap') {
    const advice = hold ? '' : '; --hold would wait for this reader'
    return note(`missed ${event.records} records of partition ${event.partition}${advice}`)
  }
  if (!again) return note(dim(`following ${stream}`))
  const missed = event.resumed ? '' : ': records in between were missed'
  note(dim(`following ${stream} again${missed}`))
}

/**
 * As `concord produce --key-tab` reads it (record-source.ts). A value that contains a tab and has no key gets an
 * empty key.
 */
function recordLine({ key, keyBase64, value, valueBase64 }: RecordOutput): string {
  const name = key ?? keyBase64 ?? ''
  const text = value ?? valueBase64 ?? ''
  return name === '' && !text.includes('\t') ? text : `${name}\t${text}`
}
