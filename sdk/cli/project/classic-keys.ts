/**
 * ClassicKeys: the keys of a config.json of 2016's Concord, as far as they have a meaning here.
 *
 * | there                     | here                       |
 * | ------------------------- | -------------------------- |
 * | `computation_name`        | `name`                     |
 * | `executable_name`         | `main`                     |
 * | `executable_arguments`    | `args`                     |
 * | `environment_variables`   | `env` (object, or a list of `NAME=value`) |
 * | `cpus`                    | `resources.cpus`           |
 * | `mem`, `disk`, in MB      | `resources.memMib`, `resources.diskMib` (Mesos's MB are MiB) |
 * | `instances`               | `instances`                |
 * | `retries`                 | `restarts`                 |
 * | `framework_logging_level` | `logLevel` (glog's number, or a word) |
 * @module
 */

type Json = Record<string, unknown>

interface Reader {
  /** The key's path in a project. */
  readonly path: readonly [outer: string, inner?: string]
  /** Reads its value. @throws {Error} With a sentence. */
  readonly read: (value: unknown) => unknown
}

const readers: Readonly<Record<string, Reader>> = {
  computation_name: { path: ['name'], read: same },
  executable_name: { path: ['main'], read: same },
  executable_arguments: { path: ['args'], read: same },
  environment_variables: { path: ['env'], read: environment },
  cpus: { path: ['resources', 'cpus'], read: same },
  mem: { path: ['resources', 'memMib'], read: same },
  disk: { path: ['resources', 'diskMib'], read: same },
  retries: { path: ['restarts'], read: same },
  framework_logging_level: { path: ['logLevel'], read: logLevel },
}

export const classicKeys: readonly string[] = Object.keys(readers)

export interface FromClassic {
  readonly project: Json
  readonly problem?: { readonly key: string; readonly message: string }
}

/** Translates the keys of 2016 and keeps all others. A setting under both names is an error. */
export function fromClassicKeys(written: Json): FromClassic {
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return { project: written }
  const isClassic = (key: string) => Object.hasOwn(readers, key)
  const project: Json = Object.fromEntries(Object.entries(written).filter(([key]) => !isClassic(key)))
  for (const key of Object.keys(written).filter(isClassic)) {
    const { path, read } = readers[key]!
    try {
      put(project, path, read(written[key]))
    } catch (error) {
      return { project, problem: { key, message: `'${key}' is wrong: ${(error as Error).message}` } }
    }
  }
  return { project }
}

function put(project: Json, [outer, inner]: Reader['path'], value: unknown): void {
  const target: Json = inner === undefined ? project : { ...(project[outer] as Json | undefined) }
  const name = inner ?? outer
  if (Object.hasOwn(target, name))
    throw new Error(`'${inner ? `${outer}.${inner}` : outer}' says the same thing again`)
  target[name] = value
  if (inner !== undefined) project[outer] = target
}

function same(value: unknown): unknown {
  return value
}

function environment(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  return Object.fromEntries(
    value.map((pair) => {
      const [, name, text] = /^([^=]+)=(.*)$/s.exec(String(pair)) ?? []
      if (name === undefined) throw new Error(`expected NAME=value, found '${pair}'`)
      return [name, text]
    }),
  )
}

/** The levels of glog: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL; negative ones are more verbose than INFO. */
function logLevel(value: unknown): unknown {
  if (typeof value === 'string') return value.toLowerCase().replace('warning', 'warn')
  if (typeof value !== 'number') throw new Error('expected a number from 0 to 3, or a level by name')
  return value < 0 ? 'debug' : (['info', 'warn'][value] ?? 'error')
}
