/**
 * Removal: ends the plan of a function: writes its status, or, once it is deleted and no instance runs, removes it.
 *
 *   RV1. A function is forgotten only when the store shows that its documents are gone. Before they are removed, the
 *        account of what it had sent is added to its readers, and what it was sent leaves that of its senders (former.ts).
 * @module
 */
import { bequeath, disown, isAwaited } from './former.ts'
import { finish } from './instances/slots.ts'
import type { Draft } from './state/draft.ts'
import { isUnwanted } from './state/in-force.ts'
import type { FunctionState } from './state/state.ts'
import { saveStatus } from './status.ts'

/** Writes the status. If the function is deleted and nothing of it runs, removes its documents. */
export function publishOrRemove(draft: Draft, fn: FunctionState): void {
  const wanted = draft.state.wanted.functions.get(fn.name)
  if (!isUnwanted(wanted)) {
    fn.removing = false
    saveStatus(draft, fn, false)
  } else if (fn.slots.some((slot) => slot.seat !== undefined) || isAwaited(fn, draft.nowMs))
    saveStatus(draft, fn, false)
  else if (wanted === undefined && fn.removing) forget(draft, fn.name)
  else if (!fn.removing) {
    fn.removing = true
    for (const [id, command] of draft.state.wanted.commands)
      if (command.function === fn.name) finish(draft, id)
    bequeath(draft, fn)
    disown(draft, fn.name)
    draft.act({ kind: 'removeFunction', function: fn.name, versions: [...(wanted?.versions.keys() ?? [])] })
  }
}

function forget(draft: Draft, name: string): void {
  draft.functions.delete(name)
  draft.agenda.delete(name)
}

/** Removes commands for functions that are not there. */
export function dropOrphanedCommands(draft: Draft): void {
  const { commands, functions } = draft.state.wanted
  for (const [id, { function: name }] of commands)
    if (!draft.functions.has(name) && !functions.has(name)) finish(draft, id)
}
