/**
 * TakeOver: what a new leader does before it acts, as in scheduler/scheduler.ts: it reads all leaders' documents,
 * raises their versions, and seals its epoch. Others may write between two of its reads.
 * @module
 */
import type { SeatDocument, StatusDocument, TaskDocument } from '../../infra/store/documents.ts'
import type { Event } from '../../scheduler/core/index.ts'
import type { Bug } from './bugs.ts'
import type { Kind, Session, StoreModel } from './store.ts'
import { readCommands, readWanted } from './wanted.ts'

export interface TakeOverOptions {
  readonly store: StoreModel
  readonly session: Session
  readonly bugs: ReadonlySet<Bug>
  readonly later: (run: () => void) => void
  /** Where the versions of what was taken are noted. */
  readonly versions: Map<string, number>
}

export function takeOver(options: TakeOverOptions, done: (restored: Event) => void): void {
  const { store, session, bugs, later, versions } = options
  const take = <T>(kind: Kind): Map<string, T> => {
    const taken = new Map<string, T>()
    for (const name of store.names(kind)) {
      const found = store.get<T>(kind, name)!
      const raised = bugs.has('no-take-over')
        ? found.version
        : store.update(kind, name, found.value, found.version, session)
      if (typeof raised === 'number') versions.set(`${kind}/${name}`, raised)
      taken.set(name, found.value)
    }
    return taken
  }
  /** One after the other, unless the session ends meanwhile. */
  const then = (run: () => void): void =>
    later(() => {
      if (!session.isLost) run()
    })
  const wanted = readWanted(store, readCommands(store))
  then(() => {
    const tasks = [...take<TaskDocument>('task').values()]
    then(() => {
      const statuses = [...take<StatusDocument>('status').values()]
      then(() => {
        const seats = [...take<SeatDocument>('seat').values()]
        then(() => {
          const epochs = take<number>('epoch')
          then(() => {
            if (!bugs.has('no-seal')) store.seal(session)
            store.tookOver(session)
            done({ kind: 'restored', tasks, statuses, seats, epochs, wanted })
          })
        })
      })
    })
  })
}
