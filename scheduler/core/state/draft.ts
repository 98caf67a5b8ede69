/**
 * Draft: the mutable state of one step. It copies what the step changes, so that a step's code can use plain
 * assignments and its input state stays as it was; `finish` returns the new state.
 * @module
 */
import type { SeatDocument, TaskDocument, VersionDocument } from '../../../infra/store/index.ts'
import { nextRandom } from '../../backoff.ts'
import { isEqual } from './equality.ts'
import type { ImmutableMap, ImmutableMapDraft } from './immutable-map.ts'
import { versionAt, versionInForce } from './in-force.ts'
import type { Action } from './protocol.ts'
import { keptVersion } from './roles.ts'
import {
  type FunctionState,
  instanceId,
  noAccounts,
  type Phase,
  type Seat,
  type Slot,
  type State,
  type Task,
} from './state.ts'

/** A slot that has a seat. */
export interface Seated {
  readonly fn: FunctionState
  readonly slot: Slot
  readonly seat: Seat
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export class Draft {
  readonly nowMs: number
  readonly actions: Action[] = []
  readonly state: Writable<State>
  readonly functions: Map<string, FunctionState>
  readonly tasks: ImmutableMapDraft<Task>
  readonly groups: Map<string, readonly string[]>
  readonly epochs: Map<string, number>
  /** By function: when it has to be looked at next. */
  agenda: Map<string, number>
  /** Runners of which this step has a copy, and which it may have changed. */
  readonly touchedTasks = new Set<string>()
  readonly #before: ReadonlyMap<string, Readonly<FunctionState>>
  readonly #tasksBefore: ImmutableMap<Task>

  constructor(state: State, nowMs: number) {
    this.nowMs = nowMs
    this.state = { ...state }
    this.#before = state.functions
    this.#tasksBefore = state.tasks
    this.functions = new Map(state.functions)
    this.tasks = state.tasks.draft()
    this.groups = new Map(state.groups)
    this.agenda = new Map(state.agenda)
    this.epochs = new Map(state.epochs)
  }

  /** The function's state, copied for this step; created if there is none. */
  fn(name: string): FunctionState {
    const found = this.functions.get(name)
    if (found !== undefined && found !== this.#before.get(name)) return found
    const copy: FunctionState =
      found === undefined
        ? {
            ...{ name, slots: [], closing: [], ended: noAccounts, statusJson: '', described: '' },
            ...{ fences: [], removing: false },
          }
        : { ...found, slots: found.slots.map(copySlot), closing: found.closing.map((c) => ({ ...c })) }
    this.functions.set(name, copy)
    return copy
  }

  /** The functions of which this step has a copy, and which it may have changed. */
  touched(): FunctionState[] {
    return [...this.functions.values()].filter((fn) => fn !== this.#before.get(fn.name))
  }

  /** A live task, copied for this step. */
  task(taskId: string): Task | undefined {
    const found = this.tasks.get(taskId)
    if (found === undefined) return undefined
    this.touchedTasks.add(taskId)
    if (found !== this.#tasksBefore.get(taskId)) return found
    const copy = { ...found }
    this.tasks.set(taskId, copy)
    return copy
  }

  addTask(task: Task): void {
    const { taskId, group } = task.document
    this.tasks.set(taskId, task)
    this.touchedTasks.add(taskId)
    if (group !== undefined) this.groups.set(group, [...(this.groups.get(group) ?? []), taskId])
  }

  removeTask({ document: { taskId, group } }: Readonly<Task>): void {
    this.tasks.delete(taskId)
    if (group === undefined) return
    const left = this.groups.get(group)?.filter((id) => id !== taskId) ?? []
    if (left.length > 0) this.groups.set(group, left)
    else this.groups.delete(group)
  }

  /** The slots that have a seat in a task. */
  seated(task: Readonly<Task>): Seated[] {
    return task.seats.flatMap((ref) => {
      const fn = this.fn(ref.function)
      const slot = fn.slots.find((candidate) => candidate.index === ref.index)
      return slot?.seat === undefined ? [] : [{ fn, slot, seat: slot.seat }]
    })
  }

  /** The task of a seat. It exists as long as the seat does. */
  taskOf(seat: Readonly<Seat>): Task {
    const task = this.task(seat.document.taskId)
    if (task === undefined) throw new Error(`invariant: ${seat.document.instance} sits in no task`)
    return task
  }

  /** Gives a slot its seat and writes it to the store. */
  sit(slot: Slot, task: Task, document: SeatDocument): void {
    slot.seat = { document, placedAtMs: this.nowMs }
    task.seats = [...task.seats, { function: document.function, index: document.index }]
    this.act({ kind: 'createSeat', document })
  }

  updateSeat(seat: Seat, change: Partial<SeatDocument>): void {
    seat.document = { ...seat.document, ...change }
    this.act({ kind: 'updateSeat', document: seat.document })
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

  /**
   * Asks for a `tick` at a time, unless an earlier one is due.
   * @param owner The function to look at then; undefined: everything.
   */
  wakeAt(owner: string | undefined, atMs: number): void {
    if (owner === undefined) this.state.commonAtMs = Math.min(this.state.commonAtMs, atMs)
    else this.agenda.set(owner, Math.min(this.agenda.get(owner) ?? atMs, atMs))
  }

  /** Whether a time has come. If not, it asks for another look at the owner then. */
  isDue(owner: string | undefined, atMs: number): boolean {
    if (this.nowMs >= atMs) return true
    this.wakeAt(owner, atMs)
    return false
  }

  random(): number {
    const [random, seed] = nextRandom(this.state.seed)
    this.state.seed = seed
    return random
  }

  /** The next epoch of a function (CC3); it is written to the store. */
  nextEpoch(functionName: string): number {
    const epoch = (this.epochs.get(functionName) ?? 0) + 1
    this.epochs.set(functionName, epoch)
    this.act({ kind: 'saveEpoch', function: functionName, epoch })
    return epoch
  }

  /** The version in force; see `versionInForce`. */
  wantedVersion(functionName: string): VersionDocument | undefined {
    return versionInForce(this.state.wanted.functions.get(functionName))
  }

  /** The version that an instance should run now. */
  versionAt(functionName: string, index: number): VersionDocument | undefined {
    const wanted = this.state.wanted.functions.get(functionName)
    const slot = this.functions.get(functionName)?.slots.find((one) => one.index === index)
    const kept = slot && keptVersion(slot)
    return kept === undefined ? versionAt(wanted, index) : wanted?.versions.get(kept)
  }

  finish(): readonly [State, readonly Action[]] {
    const { functions, groups, epochs, agenda } = this
    const unsettled = new Set(this.state.unsettled)
    for (const fn of this.touched()) {
      const before = this.#before.get(fn.name)
      if (before !== undefined && isEqual(fn, before)) functions.set(fn.name, before)
      else unsettled.add(fn.name)
    }
    let wakeAtMs = this.state.commonAtMs
    for (const atMs of agenda.values()) wakeAtMs = Math.min(wakeAtMs, atMs)
    for (const taskId of this.touchedTasks) {
      const before = this.#tasksBefore.get(taskId)
      if (before !== undefined && isEqual(this.tasks.get(taskId), before)) this.tasks.set(taskId, before)
    }
    const tasks = this.tasks.finish()
    return [{ ...this.state, functions, tasks, groups, epochs, agenda, unsettled, wakeAtMs }, this.actions]
  }
}

/** The function with which a runner's deadlines are kept. */
export function ownerOf(task: Readonly<Task>): string | undefined {
  return task.seats[0]?.function
}

function copySlot(slot: Slot): Slot {
  return slot.seat === undefined ? { ...slot } : { ...slot, seat: { ...slot.seat } }
}

/** A slot without a seat. */
export function newSlot(index: number, nowMs: number, version: number): Slot {
  return { index, phase: 'waiting', sinceMs: nowMs, restarts: 0, restartsVersion: version }
}

/** @param isKnown This leader launches it; false: an earlier leader did. */
export function newTask(document: TaskDocument, sinceMs: number, isKnown: boolean): Task {
  return { document, seats: [], sinceMs, isKnown, leaving: [] }
}

/** The instance's name in logs and reasons. */
export function nameOf(fn: Readonly<FunctionState>, slot: Readonly<Slot>): string {
  return instanceId(fn.name, slot.index)
}
