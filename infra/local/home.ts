/**
 * Home: what lies where in the state folder of one machine, for nobody's eyes but its owner's.
 * @module
 */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Home {
  readonly root: string
  readonly credentials: string
  /** {url, token} for the command line. */
  readonly client: string
  /** Who runs, and on which ports: up-file.ts. */
  readonly up: string
  /** Held by the `up` that runs. */
  readonly lock: string
  readonly nats: string
  readonly minimesos: string
  readonly minimesosCredentials: string
  log(name: string): string
}

export async function makeHome(root: string): Promise<Home> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  await mkdir(join(root, 'logs'), { recursive: true, mode: 0o700 })
  return homeOf(root)
}

export function homeOf(root: string): Home {
  return {
    root,
    credentials: join(root, 'credentials.json'),
    client: join(root, 'client.json'),
    up: join(root, 'up.json'),
    lock: join(root, 'up.lock'),
    nats: join(root, 'nats'),
    minimesos: join(root, 'minimesos'),
    minimesosCredentials: join(root, 'minimesos-credentials.json'),
    log: (name) => join(root, 'logs', `${name}.log`),
  }
}

/** Writes a file of mode 0600, wholly or not at all. */
export async function writePrivate(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, `${text}\n`, { mode: 0o600 })
  await rename(temporary, file)
}
