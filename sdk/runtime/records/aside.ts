/**
 * Aside: which records of a batch are set aside: those that threw and will be tried again after a wait and, if the
 * order of a key is kept, those behind them. The host keeps them, and gives each back in a frame of its own
 * (runner/failures/aside.ts).
 *
 *   AS1. If order is kept, no record of a key is processed while an earlier one of that key is set aside.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { FailurePolicy } from '../../manifest/policy.ts'
import { fromCharCode, fromJson } from '../realm/primordials.ts'
import { asideIsLast } from '../shared/layout.ts'
import type { Cursor } from './record.ts'

export class Aside {
  readonly policy: FailurePolicy
  /** The current frame is a record that was set aside and has its last attempt. */
  #isAside = false
  isLast = false
  /** The lines that wait (`lineOf`), in a table without a prototype. */
  #lines: Record<string, true> = noLines()
  #any = false

  constructor(policy: FailurePolicy) {
    this.policy = policy
  }

  /** Called before a batch. @param linesJson The lines that wait, as a JSON array. */
  begin(linesJson: string | undefined): void {
    if (this.#any) this.#lines = noLines()
    this.#any = false
    if (linesJson === undefined) return
    const lines = fromJson(linesJson) as string[]
    for (let i = 0; i < lines.length; i++) this.#add(lines[i]!)
  }

  /** Called before a frame. @param word Its `inputRowAside`. @returns The attempt number of its first record. */
  open(word: number): number {
    this.#isAside = word > 0
    this.isLast = (word & asideIsLast) !== 0
    return word > 0 ? word & ~asideIsLast : 1 // 1 if it was never tried
  }

  /** Whether a record that threw after so many attempts is tried again after a wait. */
  takes(attempts: number): boolean {
    return !this.isLast && this.policy.waitMs > 0 && attempts <= this.policy.retries
  }

  /** Sets the current record aside. */
  hold(cursor: Cursor): void {
    if (this.policy.keepsOrder) this.#add(lineOf(cursor.partition, cursor.keyView()))
  }

  /** Whether the current record has to wait for an earlier one of its key. */
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

/** A string that identifies a partition and a key. */
export function lineOf(partition: number, key: Uint8Array): string {
  let line = `${partition}:`
  for (let i = 0; i < key.length; i++) line += fromCharCode(key[i]!)
  return line
}
