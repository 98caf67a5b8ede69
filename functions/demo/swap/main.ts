/**
 * Main: the demo of hot swap, `npm run demo -- --swap`: clicks at a steady rate, while the model that scores them is
 * replaced: v1 by v2, and v2 by a bad v3, which its canary rolls back.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from 'concord/client'
import { endPlatform } from '../ending.ts'
import type { DemoOptions } from '../options.ts'
import { Platform } from '../platform.ts'
import type { Screen } from '../screen.ts'
import { count } from '../text.ts'
import { complaintsOf, figuresOf, type SwapRun, storyText, worthText } from './report.ts'
import { ClickStream } from './stream.ts'

const rateDefault = 2_000
/** When the second and the third version are deployed, as shares of the whole time. */
const [secondAt, thirdAt] = [0.3, 0.6]
/** A canary that was not judged after this time counts as a failure of the demo. */
const judgedWithinMs = 120_000
const lookMs = 250
const worthALook = [
  'concord fn versions score                  (what became of each version, and why)',
  'concord fn diff score v1 v2',
]
const here = (file: string) => new URL(file, import.meta.url)

/** @returns The exit code. */
export async function swapDemo(options: DemoOptions, screen: Screen, signal: AbortSignal): Promise<number> {
  const { rate = rateDefault, seed, json, keep } = options
  const over = new AbortController()
  const platform = await Platform.create()
  try {
    const client = await screen.step('Starting the platform', () => platform.start())
    signal.throwIfAborted()
    await screen.step('Deploying parse, and score v1, which believes what a User-Agent says', () =>
      Promise.all([
        platform.deploy(here('../../clicks/parse.ts'), [], signal),
        platform.deploy(here('score-v1.ts'), [], signal),
      ]),
    )
    const running = AbortSignal.any([signal, over.signal])
    const stream = await ClickStream.start({ client, rate, seed, signal: running })
    screen.note(`Streaming ${count(rate)} clicks a second`)
    const story = new Story(platform, client, stream, screen, running)
    const [run] = await Promise.all([story.play(options.seconds), stream.ended])
    process.stdout.write(`${json ? JSON.stringify(figuresOf(run)) : storyText(run)}\n`)
    const complaints = complaintsOf(run)
    for (const complaint of complaints) screen.note(complaint)
    return complaints.length === 0 ? 0 : 1
  } finally {
    over.abort()
    await endPlatform(platform, screen, { keep: keep && !signal.aborted, commands: worthALook })
  }
}

class Story {
  readonly #platform: Platform
  readonly #client: ConcordClient
  readonly #stream: ClickStream
  readonly #screen: Screen
  readonly #signal: AbortSignal
  /** The version that judges most clicks now. */
  #version = 1

  constructor(
    platform: Platform,
    client: ConcordClient,
    stream: ClickStream,
    screen: Screen,
    signal: AbortSignal,
  ) {
    this.#platform = platform
    this.#client = client
    this.#stream = stream
    this.#screen = screen
    this.#signal = signal
  }

  async play(seconds: number): Promise<SwapRun> {
    const looks: SwapRun['looks'][number][] = []
    const looking = setInterval(() => looks.push(this.#look(looks.at(-1))), lookMs)
    try {
      await this.#until(secondAt * seconds)
      const swapAskedMs = performance.now()
      const pauseMs = await this.#second()
      await this.#until(thirdAt * seconds)
      const canary = await this.#third()
      await this.#until(seconds)
      await this.#stream.end()
      const { version, instances } = await this.#client.inspect('score', { signal: this.#signal })
      const versionAtEnd = instances[0]?.version ?? version
      return { stream: this.#stream, looks, seconds, swapAskedMs, pauseMs, canary, versionAtEnd }
    } finally {
      clearInterval(looking)
    }
  }

  async #second(): Promise<number> {
    this.#say(`v1 has judged so far: ${worthText(this.#stream.scores, 1)}`)
    this.#say('concord fn deploy score-v2.ts: a model that looks at what a client does')
    await this.#platform.deploy(here('score-v2.ts'), [], this.#signal)
    this.#version = 2
    const { instances } = await this.#client.inspect('score', { signal: this.#signal })
    const pauseMs = instances[0]?.swapPauseMs ?? Number.NaN
    this.#say(`v2 has taken over in ${pauseMs.toFixed(1)} ms, with all that v1 has learned of each client`)
    return pauseMs
  }

  async #third(): Promise<SwapRun['canary']> {
    this.#say(`v2 has judged so far: ${worthText(this.#stream.scores, 2)}`)
    this.#say('concord fn deploy score-v3.ts --canary 10%: it throws at clicks without a referrer')
    await this.#platform.deploy(here('score-v3.ts'), ['--canary', '10%', '--no-wait'], this.#signal)
    const deadlineMs = performance.now() + judgedWithinMs
    for (let isSeen = false; ; ) {
      const versions = await this.#client.versions('score')
      const { state = 'neverRan', reason = '' } = versions.find(({ version }) => version === 3) ?? {}
      if (state === 'canary' && !isSeen) {
        isSeen = true
        this.#say('v3 has a tenth of the clients; what it throws at, v2 judges at once')
      }
      if (state === 'failed') this.#say('v3 is rolled back by its canary, and nobody was asked')
      if (!['canary', 'rollingOut'].includes(state) || performance.now() > deadlineMs)
        return { state, reason }
      await sleep(lookMs, undefined, { signal: this.#signal })
    }
  }

  async #until(seconds: number): Promise<void> {
    const leftMs = (seconds - this.#stream.seconds) * 1000
    await sleep(Math.max(0, leftMs), undefined, { signal: this.#signal })
  }

  #say(text: string): void {
    this.#screen.note(`${this.#stream.seconds.toFixed(1).padStart(5)} s  ${text}`)
  }

  #look(before: SwapRun['looks'][number] | undefined): SwapRun['looks'][number] {
    const { scores, sent, seconds } = this.#stream
    const nowMs = performance.now()
    const gapMs = scores.longestGapMs(before?.atMs ?? nowMs - lookMs, nowMs)
    const late = `${count(Math.max(0, sent - scores.received))} on their way`
    const worth = worthText(scores, this.#version)
    this.#screen.move(
      `${seconds.toFixed(1).padStart(5)} s  ${count(sent)} clicks, ${late} · v${this.#version}: ${worth}`,
    )
    return { atMs: nowMs, clicks: [1, 2, 3].map((version) => scores.clicks.get(version) ?? 0), gapMs }
  }
}
