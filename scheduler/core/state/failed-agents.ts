/**
 * FailedAgents: the agents on which the latest launch came to nothing.
 *
 *   FA1. A task that ends before its runner's first heartbeat has loaded no code of its functions: that counts against
 *        its agent, and not against an instance or a version. While the bus is away it counts against nobody.
 *   FA2. Such an agent is the last choice, never forbidden, until a launched runner beats there, and for
 *        `agentFailedMs` at most.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Draft } from './draft.ts'
import type { Task } from './state.ts'
import { timings } from './timings.ts'

export function noteFailedLaunch(draft: Draft, { document }: Task): void {
  const { agentId, hostname, taskId } = document
  const before = failedAgents(draft)
  draft.state.failedAgents = new Map(before).set(agentId, draft.nowMs)
  if (before.has(agentId)) return
  const message = `${hostname} could not start a task: it is the last choice until it starts one, or for ${timings.agentFailedMs / 60_000} minutes`
  draft.act({ kind: 'log', level: 'warn', message, task: taskId })
}

export function noteStarted(draft: Draft, { document }: Task): void {
  if (!draft.state.failedAgents.has(document.agentId)) return
  const others = new Map(draft.state.failedAgents)
  others.delete(document.agentId)
  draft.state.failedAgents = others
}

/** By agent id: when the latest launch there failed. */
export function failedAgents(draft: Draft): ReadonlyMap<string, number> {
  const since = draft.nowMs - timings.agentFailedMs
  return new Map([...draft.state.failedAgents].filter(([, atMs]) => atMs > since))
}
