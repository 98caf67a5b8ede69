/**
 * ConditionFile: stores in an agent's folder whether it is cut off or without power, so that the next master finds it
 * in the same condition.
 * @module
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type AgentCondition = 'up' | 'cut' | 'down'

const pathOf = (agentDir: string): string => join(agentDir, 'condition.json')

export function writeCondition(agentDir: string, condition: AgentCondition): void {
  const path = pathOf(agentDir)
  if (condition === 'up') return rmSync(path, { force: true })
  writeFileSync(`${path}.tmp`, JSON.stringify({ schema: 1, condition }), { mode: 0o600 })
  renameSync(`${path}.tmp`, path)
}

/** `up` where nothing else was written. */
export function readCondition(agentDir: string): AgentCondition {
  try {
    return (JSON.parse(readFileSync(pathOf(agentDir), 'utf8')) as { condition: AgentCondition }).condition
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'up'
    throw error
  }
}
