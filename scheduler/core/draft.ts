/**
 * Draft: one step's workshop. It holds a copy of what the step may change, so that the code of the step can be written
 * as plain assignments while the state that came in stays as it was; `finish` answers the state that goes out.
 * @module
 */
import type { VersionDocument } from '../../infra/store/index.ts'
import { nextRandom } from '../backoff.ts'
import type { Action } from './protocol.ts'
import {
  type FunctionState,
  instanceId,
  noAccounts,
  type Phase,
  type Slot,
  type State,
  type Task,
} from './state.ts'

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export class Draft {
  readonly nowMs: number
  readonly actions: Action[] = []
  readonly state: Writable<State>
  readonly functions: Map<string, FunctionState>
  readonly epochs: Map<string, number>
  #before: ReadonlyMap<string, Readonly<FunctionState>>

  constructor(state: State, nowMs: number) {
    this.nowMs = nowMs
    this.state = { ...state }
    this.#before = state.functions
    this.functions = new Map(state.functions)
    this.epochs = new Map(state.epochs)
  }

  /** The function's state, a copy of this step's own; made if there is none. */
  fn(name: string): FunctionState {
    const found = this.functions.get(name)
    if (found !== undefined && found !== this.#before.get(name)) return found
    const copy: FunctionState =
      found === undefined
        ? { name, slots: [], closing: [], ended: noAccounts, statusJson: '', removing: false }
        : { ...found, slots: found.slots.map(copySlot), closing: found.closing.map((c) => ({ ...c })) }
    this.functions.set(name, copy)
    return copy
  }

  /** The slot of a live task. */
  findTask(taskId: string): { fn: FunctionState; slot: Slot; task: Task } | undefined {
    for (const [name, fn] of this.functions) {
      const at = fn.slots.findIndex((slot) => slot.task?.document.taskId === taskId)
      if (at < 0) continue
      const own = this.fn(name)
      const slot = own.slots[at] as Slot
      return { fn: own, slot, task: slot.task as Task }
    }
    return undefined
  }

  act(action: Action): void {
    this.actions.push(action)
  }

  enter(slot: Slot, phase: Phase, why?: string): void {
    if (slot.phase !== phase) slot.sinceMs = this.nowMs
    slot.phase = phase
    if (why === undefined) delete slot.why
    else slot.why = why
  }

  /** Asks for a `tick` at that time, if none is due earlier. */
  wakeAt(atMs: number): void {
    this.state.wakeAtMs = Math.min(this.state.wakeAtMs, atMs)
  }

  random(): number {
    const [random, seed] = nextRandom(this.state.seed)
    this.state.seed = seed
    return random
  }

  /** The next epoch of a function (C3), which is on its way to the store. */
  nextEpoch(functionName: string): number {
    const epoch = (this.epochs.get(functionName) ?? 0) + 1
    this.epochs.set(functionName, epoch)
    this.act({ kind: 'saveEpoch', function: functionName, epoch })
    return epoch
  }

  /** The version that a function should run now; none if it is unknown or deleted. */
  wantedVersion(functionName: string): VersionDocument | undefined {
    const wanted = this.state.wanted.functions.get(functionName)
    if (wanted === undefined || wanted.document.deleted) return undefined
    return wanted.versions.get(wanted.document.version)
  }

  finish(): readonly [State, readonly Action[]] {
    return [{ ...this.state, functions: this.functions, epochs: this.epochs }, this.actions]
  }
}

function copySlot(slot: Slot): Slot {
  return slot.task === undefined ? { ...slot } : { ...slot, task: { ...slot.task } }
}

/** A seat without a task. */
export function newSlot(index: number, nowMs: number, version: number): Slot {
  return { index, phase: 'waiting', sinceMs: nowMs, restarts: 0, restartsVersion: version }
}

/** For logs and reasons. */
export function nameOf(fn: Readonly<FunctionState>, slot: Readonly<Slot>): string {
  return instanceId(fn.name, slot.index)
}
