/**
 * KnownAgents: which agents the master knows, as far as it has shown in this connection: by an offer, or by an update of a task that it
 * cannot have from anybody else.
 *
 * A new master gives no answer about a task whose agent has not registered with it yet, and ignores a kill of it without a word. That takes
 * seconds, or as long as the agent is away.
 *
 *   KA1. When an agent is known for the first time in a connection, each kill of its tasks that was decided before is repeated: it may have
 *        reached nobody.
 * @module
 */
import type { TaskCondition } from '../engine.ts'
import type { Draft } from './state/draft.ts'
import type { Task } from './state/state.ts'
import { kill } from './state/stopping.ts'

/** What only an agent can have said of its task. */
const fromAgents: ReadonlySet<TaskCondition> = new Set(['pending', 'running', 'exited'])

/** A connection begins. */
export function forgetAgents(draft: Draft): void {
  draft.state.knownAgents = new Set()
}

export function heardOfTask(draft: Draft, agentId: string | undefined, condition: TaskCondition): void {
  if (agentId !== undefined && fromAgents.has(condition)) heardOfAgents(draft, [agentId])
}

export function heardOfAgents(draft: Draft, agentIds: readonly string[]): void {
  const { knownAgents } = draft.state
  const come = new Set(agentIds.filter((agentId) => !knownAgents.has(agentId)))
  if (come.size === 0) return
  draft.state.knownAgents = new Set([...knownAgents, ...come])
  for (const { document, killedAtMs } of [...draft.tasks.values()])
    if (killedAtMs !== undefined && come.has(document.agentId))
      kill(draft, draft.task(document.taskId) as Task)
}
