/**
 * TypedState: counters, values and lists for a callback (windows.ts has windows). Each object is only a name for entries of the
 * current partition, so thousands of them cost no more than what they store.
 *
 *   TS1. Entries of counters, lists and windows are parts of their key (arena/entry.ts), so they never collide with a
 *        key of the author's or another kind.
 * @module
 */
import type { Counter, Data, List, ListOptions, StateOptions, Value } from '../../function.ts'
import { type Part, partKind } from '../arena/index.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { fromJson } from '../realm/primordials.ts'
import { jsonOf } from './json-form.ts'
import { badArgument, checkedNumber, Shaped } from './shaped.ts'

const counterPart: Part = { kind: partKind.counter, number: 0 }

export class StateCounter extends Shaped<StateOptions> implements Counter {
  get(): number {
    return this.state('get a counter').getNumber(this.key, counterPart) ?? 0
  }

  add(by = 1): number {
    const number = checkedNumber('add to a counter', by)
    return this.state('add to a counter').addNumber(this.key, number, this.expiry(), counterPart)
  }

  set(to: number): void {
    const number = checkedNumber('set a counter', to)
    this.state('set a counter').setNumber(this.key, number, this.expiry(), counterPart)
  }

  delete(): boolean {
    return this.state('delete a counter').delete(this.key, counterPart)
  }
}

export class StateValue<T> extends Shaped<StateOptions> implements Value<T> {
  get(): T | undefined {
    return this.state('get a value').getJson(this.key) as T | undefined
  }

  set(value: T): void {
    this.state('set a value').set(this.key, jsonOf(value), this.expiry())
  }

  delete(): boolean {
    return this.state('delete a value').delete(this.key)
  }
}

/** Where a list stores the numbers of its first item and of the one after its last. */
const listHead: Part = { kind: partKind.list, number: -1 }
const itemAt = (number: number): Part => ({ kind: partKind.list, number })
const space = 0x20
const zero = 0x30

export class StateList<T> extends Shaped<ListOptions> implements List<T> {
  get length(): number {
    const { first, next } = this.#range(this.state('read a list'))
    return next - first
  }

  push(item: T): number {
    const state = this.state('push to a list')
    const most = this.options.max ?? Number.POSITIVE_INFINITY
    if (!(most >= 1)) throw badArgument(`Cannot push to a list: its max is ${String(most)}, less than 1`)
    let { first, next } = this.#range(state)
    const expiry = this.expiry()
    state.set(this.key, jsonOf(item), expiry, itemAt(next++))
    for (; next - first > most; first++) state.delete(this.key, itemAt(first))
    state.set(this.key, `${first} ${next}`, expiry, listHead)
    return next - first
  }

  shift(): T | undefined {
    const state = this.state('shift a list')
    const found = this.#first(state)
    if (found === undefined) return undefined
    const { text, number, next } = found
    state.delete(this.key, itemAt(number))
    if (number + 1 === next) state.delete(this.key, listHead)
    else state.set(this.key, `${number + 1} ${next}`, this.expiry(), listHead)
    return fromJson(text) as T
  }

  at(index: number): T | undefined {
    const text = this.#textAt(this.state('read a list'), index)
    return text === undefined ? undefined : (fromJson(text) as T)
  }

  items(): T[] {
    const state = this.state('read a list')
    const { first, next } = this.#range(state)
    const items: T[] = []
    for (let number = first; number < next; number++) {
      const text = state.getText(this.key, itemAt(number))
      if (text !== undefined) items.push(fromJson(text) as T)
    }
    return items
  }

  clear(): void {
    const state = this.state('clear a list')
    const { first, next } = this.#range(state)
    for (let number = first; number < next; number++) state.delete(this.key, itemAt(number))
    state.delete(this.key, listHead)
  }

  #textAt(state: KeyedState, index: number): string | undefined {
    if (index === 0) return this.#first(state)?.text
    const { first, next } = index < 0 ? headOf(state, this.key) : this.#range(state)
    const number = index < 0 ? next + index : first + index
    return number < first || number >= next ? undefined : state.getText(this.key, itemAt(number))
  }

  /** Its first item that has not expired, and the number after its last item. */
  #first(
    state: KeyedState,
  ): { readonly text: string; readonly number: number; readonly next: number } | undefined {
    const { first, next } = headOf(state, this.key)
    for (let number = first; number < next; number++) {
      const text = state.getText(this.key, itemAt(number))
      if (text !== undefined) return { text, number, next }
    }
    return undefined
  }

  /** The numbers of its items, from the first that has not expired. */
  #range(state: KeyedState): Range {
    const { first, next } = headOf(state, this.key)
    let number = first
    while (number < next && !state.has(this.key, itemAt(number))) number++
    return { first: number, next }
  }
}

interface Range {
  readonly first: number
  readonly next: number
}

/** The two numbers in a list's head, whose text is `12 15`. Taking it apart by `split` costs 150 ns, this 15. */
function headOf(state: KeyedState, key: Data): Range {
  const text = state.getText(key, listHead) ?? ''
  let first = 0
  let next = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === space) {
      first = next
      next = 0
    } else next = next * 10 + (unit - zero)
  }
  return { first, next }
}
