/**
 * Screen: the progress that a person sees during the demo, on standard error. Only a terminal gets a moving line.
 * @module
 */
import type { Look } from './scale/day.ts'
import { count, counted } from './text.ts'
import type { Progress } from './traffic-run.ts'

const eraseLine = '\r\u001b[K'

export class Screen {
  readonly #out: NodeJS.WriteStream
  #moving = false

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  /** Writes a line that stays. */
  note(text: string): void {
    this.#out.write(`${this.#moving ? eraseLine : ''}${text}\n`)
    this.#moving = false
  }

  /** Runs a step of the set-up, and says how long it took. */
  async step<T>(text: string, work: () => Promise<T>): Promise<T> {
    const startedAtMs = performance.now()
    this.move(`${text} …`)
    const result = await work()
    this.note(`${text}: ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`)
    return result
  }

  progress({ accepted, accounts, tally, startedAtMs }: Progress): void {
    const seconds = (performance.now() - startedAtMs) / 1000
    const steps = [
      `lines ${count(accepted)}`,
      `parse ${count(accounts?.parse.counted ?? 0)}`,
      `score ${count(accounts?.score.counted ?? 0)}`,
      `verdicts ${count(tally.verdicts)}`,
      `alerts ${count(tally.alerts)}`,
    ]
    const speed = `${count(Math.round(tally.verdicts / seconds))}/s`
    this.move(
      `${steps.join(' → ')} · ${speed} · ${counted(tally.offenders.size, 'client')} flagged · ${seconds.toFixed(1)} s`,
    )
  }

  /** Progress of the scaling demo. @param time The time of day, from 0 to 1. */
  look({ perSecond, instances, waiting, latencyMs }: Look, time: number): void {
    const minutes = Math.floor(Math.min(1, time) * 24 * 60)
    const clock = `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
    const boxes = '■'.repeat(instances).padEnd(8, '·')
    this.move(
      `${clock} · ${count(Math.round(perSecond))} orders/s · ${boxes} ${instances} · ${count(waiting)} waiting · ${count(Math.round(latencyMs))} ms`,
    )
  }

  /** Rewrites the moving line, cut to the terminal's width. */
  move(text: string): void {
    if (!this.#out.isTTY) return
    this.#out.write(eraseLine + text.slice(0, this.#out.columns - 1))
    this.#moving = true
  }
}
