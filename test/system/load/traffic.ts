/**
 * Traffic: producers and a sink as processes of their own against a platform, and the verdict on what they wrote down.
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { budgetFor } from '../../../infra/bus/messages/windows.ts'
import { type FollowerDocument, openStore, paths, type Store, upsert } from '../../../infra/store/index.ts'
import { recordBytes } from '../../../sdk/wire/frame.ts'
import { Checker, type Verdict } from '../../history/checker.ts'
import type { HistoryEvent } from '../../history/event.ts'
import { verdictText } from '../../history/explain.ts'
import { openHistory } from '../../history/file.ts'
import type { Platform } from '../platform.ts'
import { namespace } from './connection.ts'
import type { Gap } from './gaps.ts'
import { partitions, valueBytes } from './records.ts'

export type { Gap } from './gaps.ts'

const renewEveryMs = 3_000

export interface TrafficOptions {
  readonly name: string
  readonly producers: number
  /** Of each producer. */
  readonly records: number
  /** Records a second of each producer; 0: as fast as credits allow. */
  readonly rate: number
  /** Of a record's value; default `valueBytes`. Of large ones a window has few. */
  readonly valueBytes?: number
}

export interface Sunk {
  readonly outputs: number
  readonly timersSet: number
  readonly timersFired: number
  readonly gaps: readonly Gap[]
  /** Between two outputs of a partition that stayed where it was. */
  readonly steadyMs: { readonly median: number; readonly p99: number }
  /** Of each owner that came later: the longest silence of a partition that it took over. */
  readonly ownersMs: readonly number[]
}

interface Sent {
  readonly id: string
  readonly sent: number
  readonly seconds: number
  readonly unaccounted: number
}

export interface Judged {
  readonly sent: number
  /** Until everything was sent. */
  readonly seconds: number
  readonly unaccounted: number
  /** Records that are nowhere: each is unaccounted. */
  readonly loss: number
  readonly sunk: Sunk
  /** Records that became dead letters. */
  readonly dropped: number
  readonly verdict: Verdict
  /** The verdict in words. */
  readonly text: string
}

export class Traffic {
  readonly #options: TrafficOptions
  readonly #platform: Platform
  readonly #histories: string[]
  readonly #sink: Peer
  readonly #producers: readonly Peer[]

  private constructor(
    options: TrafficOptions,
    platform: Platform,
    histories: string[],
    sink: Peer,
    producers: readonly Peer[],
  ) {
    this.#options = options
    this.#platform = platform
    this.#histories = histories
    this.#sink = sink
    this.#producers = producers
  }

  /** Starts the sink, then the producers; the function runs. All end with the test. */
  static async start(t: TestContext, platform: Platform, options: TrafficOptions): Promise<Traffic> {
    const { name } = options
    const store = await openStore(platform.store)
    t.after(() => store.close())
    const follower = `load-${name}`
    await follow(t, store, [`${name}-out`], follower)
    const fileOf = (who: string): string => join(platform.home, `${name}-${who}.jsonl`)
    const at = [platform.home, platform.natsUrl, name]
    const sink = new Peer(t, 'sink-main.ts', [...at, follower, fileOf('sink')])
    await sink.line()
    const known = (d: Awaited<ReturnType<Platform['client']['inspect']>>): boolean => d.state === 'running'
    await platform.until(name, known)
    const indexes = Array.from({ length: options.producers }, (_, i) => String(i))
    const producers = indexes.map(
      (i) =>
        new Peer(t, 'producer-main.ts', [
          ...at,
          i,
          String(options.records),
          String(options.rate),
          String(options.valueBytes ?? valueBytes),
          fileOf(`producer-${i}`),
        ]),
    )
    return new Traffic(
      options,
      platform,
      [...indexes.map((i) => fileOf(`producer-${i}`)), fileOf('sink')],
      sink,
      producers,
    )
  }

  /** Lets the producers stop before they have sent all. */
  stop(): void {
    for (const producer of this.#producers) producer.say('stop')
  }

  /**
   * Waits until all has come through, or nothing comes any more, and judges it. What is missing is unaccounted, and beyond
   * that no more is than the owners that were killed may have done and not acknowledged: a window each (I7).
   * @param kills Owners that were killed, or taken for gone.
   */
  async judged(kills = 0): Promise<Judged> {
    const sent = await Promise.all(
      this.#producers.map(async (producer) => JSON.parse(await producer.line()) as Sent),
    )
    const sum = (of: (one: Sent) => number): number => sent.reduce((total, one) => total + of(one), 0)
    const dropped = await this.#letters(sent.map(({ id }) => id)) // all is acknowledged, so all of them are kept
    // Of what is unaccounted some may come all the same: then the sink waits until nothing does any more.
    this.#sink.say(String(sum((one) => one.sent) - dropped.length))
    const sunk = JSON.parse(await this.#sink.line()) as Sunk
    const verdict = this.#verdict(dropped)
    const text = `${this.#options.name}: ${verdictText(verdict, this.#events(dropped))}`
    const seconds = Math.max(...sent.map((one) => one.seconds))
    const unaccounted = sum((one) => one.unaccounted)
    const { loss = 0, ...others } = verdict.records
    assert.deepEqual(others, {}, text)
    assert.ok(loss <= unaccounted, `${loss} missing, ${unaccounted} unaccounted: ${text}`)
    const most = loss + kills * this.#windowRecords
    assert.ok(unaccounted <= most, `${unaccounted} unaccounted, ${loss} missing, so at most ${most}: ${text}`)
    return {
      sent: sum((one) => one.sent),
      seconds,
      unaccounted,
      loss,
      sunk,
      dropped: dropped.length,
      verdict,
      text,
    }
  }

  /** How many records an owner may have been sent that it has not acknowledged. */
  get #windowRecords(): number {
    const { producers, valueBytes: bytes = valueBytes } = this.#options
    return Math.ceil(budgetFor(undefined, producers * partitions) / recordBytes(0, bytes))
  }

  /** The dead letters of the function, as what became of records. */
  async #letters(producers: readonly string[]): Promise<HistoryEvent[]> {
    const { name } = this.#options
    const events: HistoryEvent[] = []
    for (let after: string | undefined; ; ) {
      const options = { function: name, state: 'all', limit: 1000 } as const
      const { letters, next } = await this.#platform.client.deadLetters(
        after === undefined ? options : { ...options, after },
      )
      for (const { stream, partition, producer, sequence } of letters) {
        const record = {
          stream,
          partition,
          producer: `p${producers.indexOf(producer)}`,
          from: sequence,
          count: 1,
        }
        events.push({ event: 'dropped', ...record, consumer: name, reason: 'deadLettered' })
      }
      if (next === undefined) return events
      after = next
    }
  }

  #verdict(more: readonly HistoryEvent[]): Verdict {
    const checker = new Checker('output')
    for (const event of this.#events(more)) checker.see(event)
    return checker.verdict()
  }

  *#events(more: readonly HistoryEvent[]): Generator<HistoryEvent> {
    for (const path of this.#histories) yield* openHistory(path).events()
    yield* more
  }
}

/** The streams wait for the sink as for a follower over HTTP. */
export async function follow(
  t: TestContext,
  store: Store,
  streams: readonly string[],
  id: string,
): Promise<void> {
  const renew = async (): Promise<void> => {
    const document: FollowerDocument = { schema: 1, gateway: 'load', renewedAtMs: Date.now() }
    for (const stream of streams) await upsert(store, paths.follower(namespace, stream, id), () => document)
  }
  await renew()
  const timer = setInterval(() => void renew().catch(() => undefined), renewEveryMs)
  t.after(() => clearInterval(timer))
}

/** A process that speaks in lines. */
class Peer {
  readonly #child: ChildProcess
  readonly #lines: NodeJS.AsyncIterator<string>
  readonly #script: string

  constructor(t: TestContext, script: string, args: readonly string[]) {
    this.#script = script
    this.#child = spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdin!.on('error', () => undefined) // it may have ended
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
    t.after(async () => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
      this.#child.kill('SIGKILL')
      await once(this.#child, 'exit')
    })
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`)
  }

  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error(`${this.#script} ended early`)
    return next.value
  }
}
