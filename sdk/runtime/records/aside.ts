/**
 * Aside: which records of a batch are set aside: those that threw and are to be tried again after a wait, and, where a key's
 * order is kept, those behind them. The host keeps them and gives each back in a frame of its own (runner/failures/aside.ts).
 *
 *   AS1. Where order is kept no record of a key is called while an earlier one of that key is set aside.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { FailurePolicy } from '../../manifest/policy.ts'
import { fromCharCode, fromJson } from '../realm/primordials.ts'
import { asideIsLast } from '../shared/layout.ts'
import type { Cursor } from './record.ts'

export class Aside {
  readonly policy: FailurePolicy
  /** The frame at hand is a record that was set aside, and is not to be tried again. */
  #isAside = false
  isLast = false
  /** Lines that wait (`lineOf`), in a table without a prototype. */
  #lines: Record<string, true> = noLines()
  #any = false

  constructor(policy: FailurePolicy) {
    this.policy = policy
  }

  /** Before a batch. @param linesJson The lines that wait, as JSON of an array. */
  begin(linesJson: string | undefined): void {
    if (this.#any) this.#lines = noLines()
    this.#any = false
    if (linesJson === undefined) return
    const lines = fromJson(linesJson) as string[]
    for (let i = 0; i < lines.length; i++) this.#add(lines[i]!)
  }

  /** Before a frame. @param word Its `inputRowAside`. @returns Which attempt its first record is. */
  open(word: number): number {
    this.#isAside = word > 0
    this.isLast = (word & asideIsLast) !== 0
    return word > 0 ? word & ~asideIsLast : 1 // the first if it was never tried
  }

  /** Whether a record that was called so often, and threw, is called again after a wait. */
  takes(attempts: number): boolean {
    return !this.isLast && this.policy.waitMs > 0 && attempts <= this.policy.retries
  }

  /** The record at hand is set aside. */
  hold(cursor: Cursor): void {
    if (this.policy.keepsOrder) this.#add(lineOf(cursor.partition, cursor.keyView()))
  }

  /** Whether the record at hand has to wait for an earlier one of its key. */
  waits(cursor: Cursor): boolean {
    return this.#any && !this.#isAside && this.#lines[lineOf(cursor.partition, cursor.keyView())] === true
  }

  #add(line: string): void {
    this.#any = true
    this.#lines[line] = true
  }
}

function noLines(): Record<string, true> {
  return { __proto__: null } as unknown as Record<string, true>
}

/** A partition and a key as a string: one for each. */
export function lineOf(partition: number, key: Uint8Array): string {
  let line = `${partition}:`
  for (let i = 0; i < key.length; i++) line += fromCharCode(key[i]!)
  return line
}
