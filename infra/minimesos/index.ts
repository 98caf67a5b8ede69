export { endTasks } from './end-tasks.ts'
export { type AgentCondition, type AgentOrder, type AgentSeen, agentOrders, powerOn } from './fleet.ts'
export {
  type AgentSpec,
  type Minimesos,
  type MinimesosOptions,
  startMinimesos,
} from './minimesos.ts'
export { memShare } from './place.ts'
