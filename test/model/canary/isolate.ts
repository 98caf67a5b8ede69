/**
 * SimIsolate: what `Split` and `Succession` use of an instance, with faults at will: each record says what befalls whoever does it.
 * @module
 */

import type { BatchResult, InputFrame, RunOptions, SingleIsolate } from '../../../runner/isolate/index.ts'
import type { StateFormat } from '../../../sdk/function.ts'
import { keeping } from '../../../sdk/versions/state-format.ts'
import { SimCall } from './call.ts'

import { type Fortune, type Role, SimStore } from './state.ts'

export class SimIsolate {
  readonly holder = this
  cpuSeconds = 0
  commitWord = 0
  state: SimStore
  #ended: (Error & { code: string; detail: object }) | undefined
  #isStuck = false
  readonly role: Role
  readonly policy: 'fail' | 'skip' | 'setAside'
  readonly fortune: Fortune
  format: StateFormat
  #call: SimCall | undefined

  constructor(
    role: Role,
    format: StateFormat,
    policy: 'fail' | 'skip' | 'setAside',
    fortune: Fortune,
    state = new SimStore(),
  ) {
    this.role = role
    this.format = format
    this.policy = policy
    this.fortune = fortune
    this.state = state
    state.use(this.format, false)
  }

  /** As who takes it for a real one has it. */
  get asIsolate(): SingleIsolate {
    return this as unknown as SingleIsolate
  }

  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  get nextTimerMs(): number | undefined {
    return this.isEnded
      ? undefined
      : Math.min(...this.state.timers.map(({ timeMs }) => timeMs), Number.POSITIVE_INFINITY)
  }

  kill(): void {
    this.end('ERR_INSTANCE_STATE')
  }

  async destroy(): Promise<void> {
    this.kill()
  }

  async ended(): Promise<boolean> {
    if (this.#isStuck) this.state.isLost = true
    return !this.#isStuck
  }

  async expect(): Promise<void> {}
  setOutputs(): void {}
  askToYield(): void {}
  watch(): void {}

  async settleFormat(kept = this.format.kept): Promise<void> {
    this.format = keeping(this.format, kept)
    if (!this.isEnded) this.state.use(this.format, true)
    if (this.fortune.mishaps[this.role] === 'settles and ends') this.#meets(this.role)
  }

  async takeOver(from: SimIsolate): Promise<void> {
    const { mishaps } = this.fortune
    const [mishap, its] = [mishaps[this.role], mishaps[from.role]]
    if (mishap === 'refuses') this.#meets(this.role)
    if (this.#ended) throw this.#ended
    if (its === 'ends as it lets go' || its === 'does not stop') {
      from.#meets(from.role)
      from.#isStuck = its === 'does not stop'
    }
    if (from.isEnded && !(await from.ended()))
      throw Object.assign(new Error('lost'), { code: 'ERR_ISOLATE_LOST' })
    this.state = from.state
    from.state = new SimStore()
    if (mishap === 'takes and ends') this.#meets(this.role)
    if (this.#ended) throw this.#ended
    this.state.use(this.format, false)
  }

  async run(
    frames: readonly InputFrame[],
    nowMs: number,
    { lines = [], share, isOne = false }: RunOptions = {},
  ): Promise<BatchResult> {
    if (this.#ended) throw this.#ended
    this.#call = new SimCall(this, nowMs, lines, share)
    return this.#call.run(frames, isOne)
  }

  async resume(): Promise<BatchResult> {
    return this.#call!.resume()
  }

  #meets(role: Role): void {
    delete this.fortune.mishaps[role]
    this.kill()
  }

  end(code: string, detail: object = {}): Error {
    this.#ended ??= Object.assign(new Error(`${this.role} has ended`), { code, detail })
    return this.#ended
  }
}
