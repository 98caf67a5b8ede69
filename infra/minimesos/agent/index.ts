export { Agent, type AgentListener, type AgentOptions } from './agent.ts'
export { identityOf, isAlive, type ProcessIdentity, signalGroup } from './process-identity.ts'
export type { Task } from './task.ts'
export { TaskFolder } from './task-folder.ts'
