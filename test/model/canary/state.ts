/**
 * SimStore: the state of an instance: what was done, by whom, and in which format, with the table of formats of an arena.
 * @module
 */
import type { StateFormat } from '../../../sdk/function.ts'
import { type FormatTable, tableFor, tableOf } from '../../../sdk/runtime/arena/formats.ts'
import type { Timer } from '../../../sdk/runtime/index.ts'

/**
 * `starves`: it lacks memory at first. `slice`: the batch ends behind it. `walk`: the isolate ends between two
 * records. `late`: it ends for lack of a CPU.
 */
export const fates = ['ok', 'throws', 'ends', 'waits', 'starves', 'slice', 'walk', 'late'] as const
export type Fate = (typeof fates)[number]
export type Role = 'old' | 'canary'

/** What a record, or the timer that it sets, comes to. */
export interface Spec {
  readonly id: number
  readonly key: string
  readonly fates: Readonly<Record<Role, Fate>>
  /** It sets a timer, under this key. */
  readonly timer?: { readonly key: string; readonly fates: Readonly<Record<Role, Fate>> } | undefined
}

export interface Done {
  readonly id: number
  readonly key: string
  readonly by: Role
}

export interface SetTimer extends Timer {
  readonly id: number
  readonly fates: Readonly<Record<Role, Fate>>
}

/** The state of an instance. */
export class SimStore {
  rows: FormatTable = tableOf(undefined)
  done: (Done & { readonly format: number })[] = []
  timers: SetTimer[] = []
  /** What was done in a format that is nobody's any more. */
  voided: number[] = []
  isLost = false

  use(format: StateFormat, alone: boolean): void {
    this.rows = tableFor(this.rows, { ...format, alone })
    const isVoid = (own: number): boolean => {
      const row = this.rows.findLast((each) => each?.format === own)
      return row?.state === 'void'
    }
    this.voided.push(...this.done.filter(({ format }) => isVoid(format)).map(({ id }) => id))
    this.done = this.done.filter(({ format }) => !isVoid(format))
    this.rows = this.rows.map((row) => (row?.state === 'void' ? null : row)) // tidied
  }

  partitions(): number[] {
    return [0, 1]
  }
}

/** What befalls an isolate that takes the state, or lets go of it. */
export type Mishap =
  | 'settles and ends'
  | 'refuses'
  | 'takes and ends'
  | 'ends as it lets go'
  | 'does not stop'

/** What all isolates of a life meet. */
export interface Fortune {
  /** The next time that one of this role has to do with the state. */
  readonly mishaps: Partial<Record<Role, Mishap>>
  /** Records and timers that lacked memory once. */
  readonly fed: Set<string>
  readonly onFired: (timer: SetTimer, by: Role) => void
  /** It has ended at this record. */
  readonly onEnded: (id: number, by: Role) => void
  readonly onThrew: (what: string, by: Role) => void
}
