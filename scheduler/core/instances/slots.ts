/**
 * Slots: which indexes a function should have, and what commands do to them.
 *
 * The wanted instances are a set of indexes, not always 0..n-1. After instance 0 of three is killed, 1 and 2 keep
 * their indexes, and the next new instance gets the lowest free index. When the count falls, the highest indexes go.
 * So no instance is ever renumbered. Instances to which shares are bound stay (homes.ts, HO2).
 * @module
 */
import type { Reader } from '../../../infra/control/index.ts'
import { keptHomes } from '../partitions/homes.ts'
import { type Draft, newSlot } from '../state/draft.ts'
import { isActive, isRetiring } from '../state/roles.ts'
import { type FunctionState, instanceId, type Role, type Slot } from '../state/state.ts'
import { type Beside, besideOf } from './beside.ts'
import { wantedIndexes } from './indexes.ts'

/** Settles the function's slots, each with its role. */
export function settleSlots(draft: Draft, fn: FunctionState): void {
  const version = draft.wantedVersion(fn.name)
  const { leaving, uncounted } = obeyCommands(draft, fn)
  const count =
    version === undefined ? 0 : (draft.state.wanted.functions.get(fn.name)?.document.instances ?? 0)
  fn.slots = fn.slots.filter((slot) => slot.seat !== undefined || slot.role?.kind !== 'replaced')
  const rest = Math.max(0, count - uncounted)
  const staying = fn.slots.map((slot) => slot.index).filter((index) => !leaving.has(index))
  const beside = besideOf(draft, fn, rest, leaving)
  const lowest = beside?.active ?? wantedIndexes(staying, rest, leaving)
  const homes = keptHomes(draft, fn)?.filter((index) => !leaving.has(index)) ?? []
  const indexes = [...new Set([...lowest, ...homes])]
  const wanted = new Set([...indexes, ...(beside?.replacements ?? [])])
  fn.slots = fn.slots.filter(
    (slot) => slot.seat !== undefined || wanted.has(slot.index) || leaving.has(slot.index),
  )
  for (const index of wanted) {
    if (!fn.slots.some((slot) => slot.index === index))
      fn.slots.push(newSlot(index, draft.nowMs, version?.version ?? 0))
  }
  fn.slots.sort((a, b) => a.index - b.index)
  for (const slot of fn.slots) slot.role = roleOf(slot, indexes, beside)
}

/** What the plan wants of a slot that has its index. */
function roleOf(slot: Slot, indexes: readonly number[], beside: Beside | undefined): Role {
  const isActive = indexes.includes(slot.index)
  if (slot.seat !== undefined && beside?.old.includes(slot))
    return { kind: isActive ? 'held' : 'replaced', version: slot.seat.document.version }
  if (isActive) return { kind: 'active' }
  if (beside?.replacements.includes(slot.index)) return { kind: 'replacement' }
  return slot.role?.kind === 'replaced' && slot.phase === 'draining' ? slot.role : { kind: 'surplus' }
}

/**
 * The instances that count as consumers of a broadcast input: those that are wanted, running or not, and those that
 * still have a seat.
 */
export function readersOf(fn: Readonly<FunctionState>): Reader[] {
  return fn.slots
    .filter((slot) => slot.seat !== undefined || isActive(slot))
    .map((slot) => ({ index: slot.index, retiring: isRetiring(slot) }))
}

/**
 * Carries out every killInstance command: the instance drains; only then the count is lowered (or the slot freed for
 * a new start), and the command is removed. Each step may be repeated after a crash without harm.
 * @returns The indexes to remove; and how many there are whose lower count has not been read from the store yet.
 */
function obeyCommands(
  draft: Draft,
  fn: FunctionState,
): { readonly leaving: ReadonlySet<number>; readonly uncounted: number } {
  const { commands, functions } = draft.state.wanted
  const applied = new Set(functions.get(fn.name)?.document.applied ?? [])
  for (const slot of fn.slots)
    if (slot.command !== undefined && !commands.has(slot.command.id)) forgetCommand(fn, slot)
  for (const [id, command] of commands) {
    if (command.function !== fn.name) continue
    const slot = fn.slots.find((candidate) => instanceId(fn.name, candidate.index) === command.instance)
    if (slot === undefined) finish(draft, id)
    else if (command.restart) restart(draft, slot, id)
    else leave(draft, fn, slot, id, applied.has(id))
  }
  const removed = fn.slots.filter(({ command }) => command?.kind === 'remove')
  return {
    leaving: new Set(removed.map(({ index }) => index)),
    uncounted: removed.filter(({ command }) => !applied.has(command!.id)).length,
  }
}

function restart(draft: Draft, slot: Slot, command: string): void {
  if (draft.state.finished.has(command)) return
  if (slot.command?.kind === 'remove') return finish(draft, command)
  if (slot.seat !== undefined) {
    slot.command = { id: command, kind: 'restart' }
    return
  }
  delete slot.command
  delete slot.untilMs
  slot.restarts = 0
  draft.enter(slot, 'waiting')
  finish(draft, command)
}

function leave(draft: Draft, fn: FunctionState, slot: Slot, command: string, applied: boolean): void {
  // If it is counted off and has a seat, an earlier leader was about to remove that.
  if (applied && (slot.seat === undefined || draft.state.finished.has(command))) {
    if (slot.command?.id === command || !draft.state.finished.has(command)) forgetCommand(fn, slot)
    finish(draft, command)
    return
  }
  // removal replaces the restart that was asked for
  if (slot.command?.kind === 'restart') finish(draft, slot.command.id)
  slot.command = { id: command, kind: 'remove' }
  if (slot.seat !== undefined || draft.state.finished.has(command)) return
  countOff(draft, fn, slot)
  finish(draft, command)
}

/**
 * Lowers the count for an instance that was to be removed and has ended. It is lowered before the seat is removed, and may be again: once the seat
 * is gone, a new leader takes the command for one that is done.
 */
export function countOff(draft: Draft, { name }: Readonly<FunctionState>, { command }: Readonly<Slot>): void {
  if (command?.kind === 'remove') draft.act({ kind: 'lowerInstances', function: name, command: command.id })
}

/** Forgets a command that is finished or was withdrawn. A slot that was to be removed goes once it is empty. */
function forgetCommand(fn: FunctionState, slot: Slot): void {
  if (slot.command?.kind === 'remove' && slot.seat === undefined)
    fn.slots = fn.slots.filter((other) => other !== slot)
  delete slot.command
}

/** Removes a command, once: the next reading of the store may still show it. */
export function finish(draft: Draft, command: string): void {
  if (draft.state.finished.has(command)) return
  draft.state.finished = new Set([...draft.state.finished, command])
  draft.act({ kind: 'removeCommand', command })
}
