/**
 * Harness: helpers shared by the tests and benchmarks of this folder: functions from source text, frames from
 * records.
 * @module
 */
import { fileURLToPath } from 'node:url'
import { buildSync, transformSync } from 'esbuild'
import { type Manifest, type ManifestInput, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import type { LogLevel, OutputFrame } from '../../../sdk/runtime/index.ts'
import { frameOf, parseFrame, type RawRecord, recordsOf, stampHeader } from '../../../sdk/wire/frame.ts'
import { findCollector } from '../../process/garbage.ts'
import {
  type BatchResult,
  type InputFrame,
  type IsolateOptions,
  isStarved,
  type Outputs,
  SingleIsolate,
  starvedAttemptsMax,
} from '../index.ts'

process.once('exit', findCollector()) // else its end may abort: see process/collect-before-end.ts

export interface Bundle {
  readonly bundle: string
  readonly sourceMap: string
}

/** Bundles a function's TypeScript as a deploy does. `concord` is the sdk. */
export function bundleOf(source: string, file = 'fn.ts'): Bundle {
  const { outputFiles } = buildSync({
    stdin: {
      contents: source,
      sourcefile: file,
      loader: 'ts',
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    sourcemap: 'external',
    outfile: 'out.js',
    logLevel: 'silent',
    alias: { concord: fileURLToPath(new URL('../../../sdk/index.ts', import.meta.url)) },
  })
  const text = (end: string): string => outputFiles.find(({ path }) => path.endsWith(end))!.text
  return { bundle: text('.js'), sourceMap: text('.map') }
}

/** As `concord fn replay` makes it of a bundle. */
export function definitionOf(source: string): string {
  const { code } = transformSync(bundleOf(source).bundle, {
    format: 'iife',
    globalName: 'fn',
    target: 'es2024',
  })
  return `${code};fn.default`
}

export interface Started {
  readonly instance: SingleIsolate
  readonly manifest: Manifest
  readonly lines: { readonly level: LogLevel; readonly message: string }[]
}

export interface StartOptions extends Partial<Omit<IsolateOptions, 'manifest' | 'bundle' | 'sourceMap'>> {
  readonly manifest?: Partial<ManifestInput>
}

export const nowMs = Date.UTC(2026, 0, 1)

/** Starts a function of one input `in` and one output `out`. Its source may leave out the boilerplate: see `fn`. */
export async function start(source: string, options: StartOptions = {}): Promise<Started> {
  const { manifest: given, ...rest } = options
  const manifest = manifestSchema.parse({
    name: 'fn',
    istreams: { in: { grouping: 'groupBy' } },
    ostreams: ['out'],
    ...given,
  })
  const lines: Started['lines'][number][] = []
  const outputs: Outputs = Object.fromEntries(
    manifest.ostreams.map((name) => [name, { partitions: 4, keyed: true }]),
  )
  const instance = await SingleIsolate.create({
    function: manifest.name,
    version: 1,
    instance: 0,
    manifest,
    ...bundleOf(source),
    outputs,
    seed: new Uint8Array(32),
    nowMs,
    sliceMs: 600_000, // a batch ends for deterministic reasons, unless a test is about time
    log: (level, message) => lines.push({ level, message }),
    ...rest,
  })
  return { instance, manifest, lines }
}

/**
 * What a life of an isolate comes to. It is lived again, as the platform does it, if it rejects because a call passed its limit for
 * want of a CPU: the limits of tests are short.
 */
export async function unstarved<T>(live: () => Promise<T>): Promise<T> {
  for (let attempt = 1; attempt < starvedAttemptsMax; attempt++) {
    try {
      return await live()
    } catch (error) {
      if (!isStarved(error as Error)) throw error
    }
  }
  return await live()
}

/** A function's source around the body of its `processRecord`, or around given callbacks. */
export function fn(body: string, more = ''): string {
  return `import { defineFunction, groupBy } from 'concord'
${more.startsWith('//top') ? more : ''}
export default defineFunction({
  metadata: { name: 'fn', istreams: { in: groupBy }, ostreams: ['out'] },
  ${more.startsWith('//top') ? '' : more}
  processRecord(ctx, record) {${body}},
})
`
}

const utf8 = new TextEncoder()

/** A record from text; `key` by default 'k'. */
export function record(value: string, key = 'k', timeMs = nowMs): RawRecord {
  return { key: utf8.encode(key), value: utf8.encode(value), timeMs }
}

export function frame(records: readonly RawRecord[], partition = 0, sequence = 0, stream = 'in'): InputFrame {
  const bytes = frameOf(records)
  const id = { low: 1, high: 0 }
  stampHeader(bytes, {
    flags: 0,
    partition,
    producer: id,
    origin: id,
    epoch: 1,
    count: records.length,
    sequence,
  })
  return { stream, partition, bytes, header: parseFrame(bytes), skip: 0 }
}

/** A frame of records of these texts. */
export function frameOfTexts(...texts: readonly string[]): InputFrame {
  return frame(texts.map((text) => record(text)))
}

/** Records of a frame as it would be sent. */
export function recordsIn({ frame: body, partition, count }: OutputFrame): RawRecord[] {
  const id = { low: 1, high: 0 }
  stampHeader(body, { flags: 0, partition, producer: id, origin: id, epoch: 1, count, sequence: 0 })
  return [...recordsOf(body, parseFrame(body))]
}

/** The values produced, as text, frame by frame. */
export function texts(result: BatchResult): string[] {
  return result
    .outputs()
    .flatMap((output) => recordsIn(output).map(({ value }) => new TextDecoder().decode(value)))
}
