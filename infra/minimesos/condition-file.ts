/**
 * ConditionFile: stores in an agent's folder whether it is cut off or without power, so that the next master finds it
 * in the same condition.
 * @module
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, writeJson } from './json-file.ts'

export type AgentCondition = 'up' | 'cut' | 'down'

const pathOf = (agentDir: string): string => join(agentDir, 'condition.json')

export function writeCondition(agentDir: string, condition: AgentCondition): void {
  const path = pathOf(agentDir)
  if (condition === 'up') return rmSync(path, { force: true })
  writeJson(path, { schema: 1, condition })
}

/** `up` where nothing else was written. */
export function readCondition(agentDir: string): AgentCondition {
  return readJson<{ condition: AgentCondition }>(pathOf(agentDir))?.condition ?? 'up'
}
