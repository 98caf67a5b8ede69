/**
 * State: what `/state` shows. Commands and environments are left out: they may hold secrets.
 * @module
 */
import { nameOf, rekey, reservedByRole } from '../wire/index.ts'
import type { Agents } from './agents.ts'
import type { Offer } from './allocator.ts'
import type { Framework } from './framework.ts'
import type { MasterInfo } from './master-info.ts'

export interface StateShown {
  readonly info: MasterInfo
  readonly agents: Agents
  readonly frameworks: readonly Framework[]
  readonly offers: (framework: Framework) => readonly Offer[]
}

export function stateOf({ info, agents, frameworks, offers }: StateShown): unknown {
  return {
    ...{ version: info.version, id: info.id, pid: info.pid, hostname: info.hostname },
    slaves: agents.all.map((agent) => ({
      id: agent.id,
      hostname: agent.hostname,
      active: agents.isConnected(agent),
      attributes: agent.attributes,
      resources: Object.fromEntries(rekey(agent.total, nameOf)),
      reserved_resources: reservedByRole(agent.total),
      used_resources: Object.fromEntries(rekey(agent.held, nameOf)),
    })),
    frameworks: frameworks.map((framework) => ({
      id: framework.id,
      name: framework.info.name,
      roles: framework.roles,
      connected: framework.stream !== undefined,
      offers: offers(framework).map((offer) => offer.id),
      tasks: agents.tasks(framework.id).map((task) => ({
        id: task.id,
        state: task.state,
        slave_id: task.record.info.agent_id.value,
        sandbox: task.record.sandbox,
      })),
    })),
  }
}
