/**
 * UpFile: the processes that run with a home folder, and their ports. It outlives its writer: the next `up` reuses
 * freely chosen ports (running tasks know them) and ends what a killed one left; `down` ends what runs.
 * @module
 */
import { existsSync } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import * as z from 'zod'
import type { CodedError } from '../../sdk/errors.ts'
import { homeIn } from '../config/index.ts'
import { infraError } from '../errors.ts'
import { writePrivate } from '../private-file.ts'
import { isAlive } from '../process.ts'
import { type Home, homeOf } from './home.ts'

const processSchema = z.object({ pid: z.int(), started: z.string() })
const portsSchema = z.object({ gateway: z.int(), nats: z.int(), mesos: z.int() })
const upSchema = z.object({
  schema: z.literal(1),
  /** The `up` that wrote this. */
  up: processSchema,
  /** The folder that it runs on; absent: an earlier build wrote it. */
  home: z.string().optional(),
  /** What it has started or adopted, by name. */
  processes: z.record(z.string(), processSchema),
  /** The scheduler that became the leader last. */
  leader: z.string().optional(),
  /** The port of each minimesos, as long as it runs. */
  masters: z.record(z.string(), z.int()).optional(),
  /** Ports that were chosen freely. */
  freePorts: portsSchema.partial(),
  /** By key: what its processes were told, whatever the settings say. */
  settings: z.record(z.string(), z.union([z.string(), z.int()])).optional(),
  /** Written at the end: what was lost (Stopped in platform.ts). */
  givenUpRecords: z.int().optional(),
  givenUpIsAtMost: z.literal(true).optional(),
  killedInstances: z.array(z.string()).readonly().optional(),
  tasksLeft: z.int().optional(),
})
export type UpFile = z.output<typeof upSchema>
export type PortName = keyof z.output<typeof portsSchema>

/** @returns Undefined if there is none, or none that this build can read. */
export async function readUpFile(home: Home): Promise<UpFile | undefined> {
  const text = await readFile(home.up, 'utf8').catch(() => 'null')
  try {
    return upSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** The file of the running `up`; changes are written one after another. */
export class UpRecord {
  readonly #home: Home
  #file: UpFile
  #written: Promise<void> = Promise.resolve()

  constructor(home: Home, file: UpFile) {
    this.#home = home
    this.#file = file
  }

  get file(): UpFile {
    return this.#file
  }

  /** @throws if the file cannot be written; the next change then writes this one too. */
  async change(changes: Partial<UpFile>): Promise<void> {
    this.#file = { ...this.#file, ...changes }
    const writes = this.#written.then(() => writePrivate(this.#home.up, JSON.stringify(this.#file, null, 2)))
    this.#written = writes.catch(() => undefined)
    await writes
  }
}

/**
 * Refuses a home that was copied while its platform ran: what lives would be taken for the copy's, adopted or ended.
 * @throws {CodedError} ERR_UP_RUNNING
 */
export async function refuseCopy({ root }: Home, file: UpFile | undefined): Promise<void> {
  if (file?.home === undefined || file.home === (await realpath(root))) return
  const lives = [file.up, ...Object.values(file.processes)].some(isAlive)
  if (!lives || !existsSync(homeOf(file.home).up)) return // or it was moved
  throw infraError(
    'ERR_UP_RUNNING',
    `Cannot use ${root}: it is a copy of ${file.home}, whose platform runs, and the copy names its processes. Stop that one first with 'concord down --home ${file.home}', or use another --home`,
  )
}

/** The error for an attempt to start a second `up`. */
export function upRunning(home: Home, pid: number | undefined): CodedError {
  const stop = homeIn(process.env) === home.root ? 'concord down' : `concord down --home ${home.root}`
  return infraError(
    'ERR_UP_RUNNING',
    `Cannot start: concord is up already with ${home.root} (pid ${pid ?? 'not known yet'}). Stop it with '${stop}', or use another --home`,
    { detail: { pid } },
  )
}
