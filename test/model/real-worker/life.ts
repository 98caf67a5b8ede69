/**
 * Life: an instance, what it is sent, and all its starts: what befalls it, and whether each record is accounted for in the end.
 *
 *   RW1. Each record sent is in the state or counted: as dropped, as lost with the state, or as unaccounted.
 *   RW2. No record is in the state twice.
 *   RW3. Each record dropped as a dead letter has one.
 *   RW4. Nothing is lost with the state of an instance that is never killed, with a store that never fails.
 *   RW5. What is put out is put out once, in order, and by no callback that failed; also where an owner was cut off, replaced and is
 *        back.
 *   RW6. What is not put out is counted as dropped or as unaccounted, by who sent it: the last words of who had it to put out may never
 *        be heard.
 *   RW7. It ends only when told to, when it is replaced, or when the store does not give it a share, and comes to rest when all that
 *        fails is well again. Unless it is killed it ends in order: nothing is unaccounted for.
 * @module
 */
import { setImmediate as turn } from 'node:timers/promises'
import { originOf, Producer } from '../../../infra/bus/index.ts'
import { SimNet } from '../../../infra/bus/wire/sim-net.ts'
import { ManualClock, sleep, systemClock } from '../../../infra/clock.ts'
import type { OutputLedger } from '../../../infra/control/messages/accounts.ts'
import { record } from '../../../runner/isolate/testing/harness.ts'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { Random } from '../../simulation/random.ts'
import { must } from '../../simulation/violation.ts'
import { MemoryLetters } from './letters.ts'
import { input, partitions, SimRunner } from './runner.ts'
import { Sink } from './sink.ts'
import { MemoryStore } from './store.ts'

export type Kind = 'plain' | 'bad' | 'waits' | 'failsNext'
/** Rounds after which what has not come about never will: 2 ms each at least, since isolates may wait long for a CPU. */
const roundsMax = 10_000

export class Life {
  /** What has happened, line by line. */
  readonly log: string[] = []
  readonly clock = new ManualClock(1_000_000)
  readonly #net = new SimNet()
  readonly #random: Random
  readonly #store: MemoryStore
  readonly #letters: MemoryLetters
  readonly #onError: 'skip' | 'deadLetter'
  readonly #producer: Producer
  readonly #sink: Sink
  /** Those that were cut off and replaced, and do not know it. */
  readonly #lost = new Set<SimRunner>()
  #runner: SimRunner | undefined
  #sent = 0
  #epoch = 0
  #isKilled = false
  #version = 1

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#store = new MemoryStore(this.clock, this.#random)
    this.#letters = new MemoryLetters(this.#store)
    this.#onError = this.#random.chance(1 / 2) ? 'skip' : 'deadLetter'
    this.#producer = new Producer({
      ...{ wire: this.#net.connect(), namespace: 'n', clock: this.clock },
      ...{ origin: originOf('n', 'p', 0), epoch: 1 },
    })
    this.#producer.setStream(input)
    this.#sink = new Sink(this.#net, this.clock)
  }

  async start(): Promise<void> {
    this.#store.isSilent = false // without its state it does not begin
    this.#runner = await SimRunner.start({
      ...{ net: this.#net, clock: this.clock, store: this.#store },
      ...{ letters: this.#letters, onError: this.#onError },
      ...{ epoch: ++this.#epoch, version: this.#version, say: (what) => this.log.push(what) },
    })
  }

  send(partition: number, kinds: readonly Kind[]): void {
    const texts = kinds.map(
      (kind) => `${this.#sent++} ${kind === 'failsNext' ? `v${this.#version + 1};` : kind}`,
    )
    this.#producer.send('in', partition, frameOf(texts.map((text) => record(text))), texts.length)
    this.log.push(`is sent ${texts.join(', ')} to ${partition}`)
  }

  async deliver(rounds: number): Promise<void> {
    await this.#pump(rounds)
    await this.#work()
  }

  async time(ms: number): Promise<void> {
    this.clock.advance(ms)
    await this.#pump(2)
  }

  silence(): void {
    this.#store.isSilent = !this.#store.isSilent
    this.log.push(this.#store.isSilent ? 'the store is silent' : 'the store speaks')
  }

  fill(): void {
    this.#store.isFull = !this.#store.isFull
    this.log.push(this.#store.isFull ? 'the store is full' : 'the store has room')
  }

  async stop(): Promise<void> {
    await this.#stopped()
    await this.start()
  }

  async kill(): Promise<void> {
    this.log.push('is killed')
    this.#isKilled = true
    this.#at.kill()
    await this.#pump(1)
    await this.start()
  }

  /** It is cut off, taken for gone, and replaced; and it lives. */
  async lose(): Promise<void> {
    this.log.push('is cut off')
    this.#isKilled = true
    this.#at.cutOff()
    this.#lost.add(this.#at)
    await this.#pump(1)
    await this.start()
  }

  /** The same; and it is woken as its successor begins, and told to stop. */
  async wake(): Promise<void> {
    const woken = this.#at
    await this.lose()
    this.log.push('is woken, and told to stop')
    woken.reconnect()
    void woken.worker.stop().then(() => {
      if (!this.#lost.delete(woken)) return
      this.log.push('the woken one has stopped')
      woken.kill()
    })
  }

  async swap(errors: number): Promise<void> {
    const version = this.#version + 1
    this.log.push(`swaps to ${version}`)
    await this.#at.swap(version, errors, ({ failure }) => {
      this.log.push(`${version} ${failure?.message ?? 'has passed'}`)
      if (failure === undefined) this.#version = Math.max(this.#version, version)
    })
    await this.#pump(2)
  }

  async assign(own: readonly number[]): Promise<void> {
    this.log.push(`should have ${own}`)
    this.#at.assign(++this.#epoch, own)
    await this.#pump(3)
  }

  /** After an end of its own it begins again, as a scheduler would have it. */
  async goOn(): Promise<void> {
    if (this.#random.chance(1 / 4)) this.#return()
    const { ending } = this.#at
    if (ending === undefined) return
    this.#mustGoOn()
    this.log.push(`ends (${ending})`)
    this.#end(this.#at)
    await this.start()
  }

  /** Lets it come to rest, and judges. */
  async rest(): Promise<void> {
    this.#store.isSilent = this.#store.isFull = false
    await this.assign(partitions)
    for (
      let round = 0;
      this.#lost.size > 0 || !this.#at.isAssigned || (this.#sent > 0 && !this.#isAtRest);
      round++
    ) {
      this.#return()
      await this.#work()
      await this.time(200)
      await this.goOn()
      this.#mustGoOn(round)
    }
    await this.deliver(10) // a channel counts what its state lacks when it begins
    const stateLost = await this.#stopped()
    const contained = this.#at.contained()
    await this.#producer.close(AbortSignal.abort()).catch(() => undefined)
    if (this.#sent > 0) this.#judge(contained, stateLost)
  }

  #judge(contained: number, stateLost: number): void {
    const { dropped, unaccounted } = this.#row!
    const gone = Object.values(dropped).reduce((sum, count) => sum + count, 0)
    const { skipped = 0, deadLettered = 0, deadLetterRefused = 0 } = dropped
    const letters = this.#letters.stored
    const told = (): string =>
      JSON.stringify({ sent: this.#sent, contained, stateLost, unaccounted, dropped, letters })
    const isMost = contained <= this.#sent - skipped - deadLettered - deadLetterRefused
    must(contained + stateLost + unaccounted + gone >= this.#sent, 'RW1', told)
    must(isMost, 'RW2', told)
    must(deadLettered <= letters, 'RW3', told)
    must(this.#isKilled || this.#store.hasFailed || stateLost === 0, 'RW4', told)
    must(this.#isKilled || unaccounted === 0, 'RW7', told)
    this.#sink.judge(this.#sent, gone + unaccounted)
  }

  /** Those that were cut off are back; each that has noticed what happened meanwhile ends. */
  #return(): void {
    for (const one of this.#lost) {
      one.reconnect()
      if (one.ending === undefined) continue
      this.log.push(`one that was cut off ends (${one.ending})`)
      this.#end(one)
      this.#lost.delete(one)
    }
  }

  /** It has ended by itself: in order, but for one that heard that it was replaced. */
  #end(runner: SimRunner): void {
    runner.kill()
  }

  get #at(): SimRunner {
    return this.#runner!
  }

  get #row(): OutputLedger | undefined {
    return this.#producer.ledger().find(({ consumer }) => consumer === 'fn')
  }

  get #isAtRest(): boolean {
    const row = this.#row
    return row !== undefined && row.acked + row.unaccounted >= this.#sent
  }

  /** @returns How many records it has lost with the state. */
  async #stopped(): Promise<number> {
    const { worker } = this.#at
    let isStopped = false
    void worker.stop().then(() => {
      isStopped = true
    })
    for (let round = 0; !isStopped; round++) {
      await this.#work()
      if (round % 5 === 0) await this.time(500)
      this.#mustGoOn(round)
    }
    const { inputs, outputs } = worker.report()
    this.log.push(`has stopped: ${JSON.stringify({ inputs, outputs })}`)
    this.#at.kill()
    return inputs[0]!.stateLost
  }

  #mustGoOn(round = 0): void {
    const { ending = '' } = this.#at
    must(
      /^$|^checkpoint: the store gives no answer/.test(ending),
      'RW7',
      () => `it ends by itself: ${ending}`,
    )
    must(round < roundsMax, 'RW7', () => `it does not rest: ${JSON.stringify(this.#row)} of ${this.#sent}`)
  }

  async #pump(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      if (this.#random.chance(1 / 2)) this.#sink.read()
      for (let steps = 0; steps < 30 && this.#net.step(this.#random.below(100)); ) steps++
      await turn()
    }
  }

  /** Isolates have threads of their own, and wait in real time. */
  async #work(): Promise<void> {
    await sleep(systemClock, 2)
    await this.#pump(3)
  }
}
