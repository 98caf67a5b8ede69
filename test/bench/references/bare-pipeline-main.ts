/**
 * Reference (a) for several functions: `node bare-pipeline-main.ts PIPELINE FILE KEYED_BY LINES`, where PIPELINE is JSON:
 * `{"input", "functions": [{"file", "env"}]}`. Each record is carried through all of them by plain calls: no isolate, no
 * NATS, state as objects in Maps, timers in order of their times; JSON between functions stays, for it is theirs.
 * @module
 */
import { readFileSync } from 'node:fs'
import type { Context, FunctionDefinition, StreamRecord } from '../../../sdk/index.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'
import { firstTimeMs, type KeyedBy, keyOf } from '../load/lines.ts'
import { partitions } from '../load/workload.ts'
import type { BareReport } from './bare-main.ts'
import { BareState, keyText } from './bare-state.ts'

export interface BarePipeline {
  readonly input: string
  readonly functions: readonly { readonly file: string; readonly env: Readonly<Record<string, string>> }[]
}

interface Timer {
  readonly key: string
  readonly timeMs: number
  readonly partition: number
}

type Send = (stream: string, key: string, value: string, timeMs: number) => void

const utf8 = new TextEncoder()

/** A function with its state, and where its outputs go. */
class Stage {
  readonly #definition: FunctionDefinition
  readonly #send: Send
  readonly #timers: Timer[] = []
  /** One for each partition: they differ in the state that they see. */
  readonly #contexts: readonly Context[]
  #timeMs = 0

  constructor(definition: FunctionDefinition, env: Readonly<Record<string, string>>, send: Send) {
    this.#definition = definition
    this.#send = send
    this.#contexts = Array.from({ length: partitions }, (_, partition) => this.#contextOf(partition, env))
    void definition.init?.(this.#contexts[0]!)
  }

  get inputs(): readonly string[] {
    return Object.keys(this.#definition.metadata.istreams ?? {})
  }

  process(stream: string, key: string, value: string, timeMs: number): void {
    const keyBytes = utf8.encode(key)
    const partition = partitionOf(keyBytes, partitions)
    this.#timeMs = timeMs
    const record = {
      ...{ stream, partition, key: keyBytes, value, timeMs },
      keyText: () => key,
      text: () => value,
      json: () => JSON.parse(value),
    }
    void this.#definition.processRecord!(this.#contexts[partition]!, record as unknown as StreamRecord)
  }

  /** Those that are due. They are set in the order of their times, near enough. */
  fireTimers(): void {
    while (this.#timers.length > 0 && this.#timers[0]!.timeMs <= nowMs) {
      const { key, timeMs, partition } = this.#timers.shift()!
      this.#timeMs = timeMs
      void this.#definition.processTimer!(this.#contexts[partition]!, key, timeMs)
    }
  }

  #contextOf(partition: number, env: Readonly<Record<string, string>>): Context {
    const calls: Pick<Context, 'env' | 'nowMs' | 'setTimer' | 'produceRecord'> = {
      env,
      nowMs: () => nowMs,
      setTimer: (key, timeMs) => void this.#timers.push({ key, timeMs, partition }),
      produceRecord: (stream, key, value, options) =>
        this.#send(stream, keyText(key), keyText(value), options?.timeMs ?? this.#timeMs),
    }
    return Object.assign(new BareState(), calls) as unknown as Context
  }
}

const pipeline = JSON.parse(process.argv[2]!) as BarePipeline
const [file, keyedBy] = process.argv.slice(3) as [string, KeyedBy]
const wanted = Number(process.argv[5])
const lines = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => ({ line, key: keyText(keyOf(line, keyedBy)) }))
let nowMs = Date.now()
const readers = new Map<string, Stage[]>()
const send: Send = (stream, key, value, timeMs) => {
  for (const stage of readers.get(stream) ?? []) stage.process(stream, key, value, timeMs)
}
const stages: Stage[] = []
for (const { file: source, env } of pipeline.functions) {
  const { default: definition } = (await import(source)) as { default: FunctionDefinition }
  const stage = new Stage(definition, env, send)
  stages.push(stage)
  for (const input of stage.inputs) readers.set(input, [...(readers.get(input) ?? []), stage])
}

const cpuBefore = process.cpuUsage()
const startMs = performance.now()
for (let i = 0; i < wanted; i++) {
  const { line, key } = lines[i % lines.length]!
  send(pipeline.input, key, line, firstTimeMs + i)
  if (i % 256 !== 0) continue
  nowMs = Date.now()
  for (const stage of stages) stage.fireTimers()
}
const seconds = (performance.now() - startMs) / 1000
const { user, system } = process.cpuUsage(cpuBefore)
const report: BareReport = { records: wanted, seconds, cpuSeconds: (user + system) / 1e6 }
console.log(JSON.stringify(report))
