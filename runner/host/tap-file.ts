/**
 * TapFile: the tap of an instance as a file: on request, and in the sandbox when an instance has failed.
 * Design: docs/design/0019-tap.md
 * @module
 */
import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { type TapFile, tapRecords, tapText } from '../../sdk/replay/index.ts'
import type { Running } from '../succession/change-over.ts'

/** NATS accepts 1 MiB in a message. */
const answerBytesMax = 900 * 1024
const inputsTold = 5
const textShown = 120

/** The tap of a running instance. */
export function tapOf({ isolate, assignment }: Running, instance: string, takenAtMs: number): TapFile {
  const { function: name, version } = assignment
  return { schema: 1, function: name, version, instance, takenAtMs, ...isolate.tapped() }
}

/** The answer to a request for a tap: the file, or as text why there is none. */
export function tapAnswer(running: Running | undefined, instance: string, takenAtMs: number): Uint8Array {
  const why = (text: string): Uint8Array => new TextEncoder().encode(text)
  if (running === undefined) return why('it is not at work there: it starts, or has just ended')
  const { tap } = running.assignment.manifest
  if (tap === false) return why('its manifest says that it has none ("tap": false)')
  const packed = packTap(tapOf(running, instance, takenAtMs))
  return packed ?? why(`it is larger than a message may be: give it less than "tap": { "kib": ${tap.kib} }`)
}

/**
 * Packs the file into one message; if it is too large, without the code, and then without the older chapter. An
 * instance that got no input since its start, or was moved, has no chapters.
 */
function packTap(file: TapFile): Uint8Array | undefined {
  const { bundle: _bundle, ...bare } = file
  for (const each of [file, bare, { ...bare, chapters: file.chapters.slice(-1) }]) {
    const packed = gzipSync(tapText(each), { level: 1 })
    if (packed.length <= answerBytesMax) return packed
  }
  return undefined
}

/** The last inputs, newest last, each as a line for people. */
function lastInputs({ chapters }: TapFile, most = inputsTold): string[] {
  const records = chapters.flatMap(({ entries, boot }) =>
    entries.slice(-most).flatMap((entry) => {
      const given = tapRecords(entry, boot.inputs)
      // For the current call: up to the current record.
      return entry.done === undefined
        ? given
        : given.slice(0, entry.done.records + (entry.done.ended ? 1 : 0))
    }),
  )
  return records
    .slice(-most)
    .map(
      ({ stream, partition, sequence, key, value }) =>
        `${stream}/${partition} #${sequence} key '${shown(key)}' value '${shown(value)}'`,
    )
}

/** Stores the tap of a failed instance in the task's sandbox, and logs that. */
export function keepTap(file: TapFile, log: (level: 'error' | 'warn', message: string) => void): void {
  if (file.chapters.every(({ entries }) => entries.length === 0)) return
  const path = `tap-${file.instance}.json`
  try {
    writeFileSync(path, tapText(file))
    for (const line of lastInputs(file)) log('error', `last inputs: ${line}`)
    const place = `${process.cwd()}/${path}`
    log('error', `what it was last given is in ${place}; \`concord fn replay\` runs it again`)
  } catch (error) {
    log('warn', `what it was last given could not be kept: ${String(error)}`)
  }
}

function shown(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, textShown))
  return bytes.length > textShown ? `${text}…` : text
}
