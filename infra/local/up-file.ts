/**
 * Up file: who runs with a home folder, and on which ports. It outlives its writer: the next `up` takes up the ports
 * that were chosen freely (tasks that live on know them), and ends what a killed one left; `down` ends what runs.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { CodedError } from '../../sdk/errors.ts'
import { infraError } from '../errors.ts'
import { type Home, writePrivate } from './home.ts'

const processSchema = z.object({ pid: z.int(), started: z.string() })
const portsSchema = z.object({ gateway: z.int(), nats: z.int(), mesos: z.int() })
const upSchema = z.object({
  schema: z.literal(1),
  /** The `up` that wrote this. */
  up: processSchema,
  /** What it has started or adopted, by name. */
  processes: z.record(z.string(), processSchema),
  /** The scheduler that became the leader last. */
  leader: z.string().optional(),
  /** The port of each minimesos, as long as it runs. */
  masters: z.record(z.string(), z.int()).optional(),
  /** Ports that were chosen freely. */
  freePorts: portsSchema.partial(),
  /** By key: what its processes are told, whatever the settings say. */
  settings: z.record(z.string(), z.union([z.string(), z.int()])).optional(),
  /** Written when it has stopped: records that the gateway had taken and gave up. */
  givenUpRecords: z.int().optional(),
})
export type UpFile = z.output<typeof upSchema>
export type PortName = keyof z.output<typeof portsSchema>

/** @returns undefined where there is none, or none that this build can read. */
export async function readUpFile(home: Home): Promise<UpFile | undefined> {
  const text = await readFile(home.up, 'utf8').catch(() => 'null')
  try {
    return upSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

export async function writeUpFile(home: Home, file: UpFile): Promise<void> {
  await writePrivate(home.up, JSON.stringify(file, null, 2))
}

/** What somebody is told who starts another one beside it. */
export function upRunning(home: Home, pid: number | undefined): CodedError {
  return infraError(
    'ERR_UP_RUNNING',
    `Cannot start: concord is up already with ${home.root} (pid ${pid ?? 'not known yet'}). Stop it with 'concord down', or use another --home`,
    { detail: { pid } },
  )
}
