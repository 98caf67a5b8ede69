/**
 * Load: the settings of a process, from flags, environment and one file, and where each came from.
 *
 *  C3. A flag beats the environment, the environment beats the file, the file beats the default.
 *  C4. Every value is checked before any is used, and a refusal says which setting, from where, and what it may be.
 *      The value of a secret is never part of it.
 * @module
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { CodedError } from '../../sdk/errors.ts'
import type { ConfigErrorCode } from './errors.ts'
import { type FileValue, readConfigFile, unknownKey } from './file.ts'
import { type Config, type Setting, settings } from './schema.ts'

export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly place: string }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly name: string }

export interface ConfigSources {
  /** The environment; an empty variable counts as unset. Default: that of the process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** By key, e.g. `{ 'gateway.port': 0 }`; what is undefined counts as not given. */
  readonly flags?: Readonly<Record<string, string | number | undefined>>
  /** The configuration file, which must then exist. Default: CONCORD_CONFIG, else `config.jsonc` in `home` if there. */
  readonly file?: string
}

export interface LoadedConfig {
  readonly values: Config
  /** By key: `origins['gateway.port']`. */
  readonly origins: Readonly<Record<string, Origin>>
}

interface Given {
  readonly value: unknown
  readonly origin: Origin
}

const keys = settings.map(({ key }) => key)
const homeSetting = settings.find(({ key }) => key === 'home')!

/** The state folder; that of no flag is the one a command means that names none. @throws {CodedError} ERR_CONFIG_VALUE */
export function homeIn(
  env: Exclude<ConfigSources['env'], undefined>,
  flags: Exclude<ConfigSources['flags'], undefined> = {},
): string {
  return absolute(check(homeSetting, given(homeSetting, env, flags, new Map())) as string)
}

/** @throws {CodedError} ERR_CONFIG_FILE, ERR_CONFIG_KEY, ERR_CONFIG_VALUE */
export function loadConfig({ env = process.env, flags = {}, file }: ConfigSources = {}): LoadedConfig {
  for (const flag of Object.keys(flags))
    if (!keys.includes(flag)) throw unknownKey(flag, keys, 'Cannot use a flag: ')

  const home = homeIn(env, flags)
  const named = file ?? (env['CONCORD_CONFIG'] || undefined)
  const fileValues = readConfigFile(named ?? join(home, 'config.jsonc'), keys, named === undefined)

  const flat: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const setting of settings) {
    const source = given(setting, env, flags, fileValues)
    flat[setting.key] = check(setting, source)
    origins[setting.key] = source.origin
  }
  return { values: complete(flat, origins) as Config, origins }
}

/** The value given for a setting, by the source that takes precedence (C3). */
function given(
  { key, env: name }: Setting,
  env: NonNullable<ConfigSources['env']>,
  flags: NonNullable<ConfigSources['flags']>,
  fileValues: ReadonlyMap<string, FileValue>,
): Given {
  if (flags[key] !== undefined) return { value: flags[key], origin: { kind: 'flag', name: key } }
  if (env[name]) return { value: env[name], origin: { kind: 'environment', name } }
  const inFile = fileValues.get(key)
  if (inFile !== undefined) return { value: inFile.value, origin: { kind: 'file', place: inFile.place } }
  return { value: undefined, origin: { kind: 'default' } }
}

/** Checks a value. Environment and flags have only text, so there a number may be written as text. */
function check(setting: Setting, { value, origin }: Given): unknown {
  const asIs = setting.type.safeParse(value)
  if (asIs.success) return asIs.data
  if (origin.kind !== 'file' && typeof value === 'string') {
    const asNumber = setting.type.safeParse(Number(value))
    if (asNumber.success) return asNumber.data
  }
  throw valueError(setting, value, origin, asIs.error)
}

function valueError(
  setting: Setting,
  value: unknown,
  origin: Origin,
  error: z.ZodError,
): CodedError<ConfigErrorCode> {
  const found = setting.secret ? 'what it holds' : JSON.stringify(value)
  const reason = error.issues.map(({ message }) => message).join('; ')
  return new CodedError(
    'ERR_CONFIG_VALUE',
    `Cannot use ${found} as ${setting.key} (${setting.description}), from ${describeOrigin(origin)}: ${reason}`,
  )
}

/** Makes paths absolute, fills defaults that are made of other settings, and nests the keys. */
function complete(flat: Record<string, unknown>, origins: Readonly<Record<string, Origin>>): object {
  flat['home'] = absolute(flat['home'] as string)
  const nested: Record<string, unknown> = {}
  for (const { key } of settings) {
    if (origins[key]?.kind === 'default') flat[key] = fill(flat[key], flat)
    const [first, second] = key.split('.') as [string, string?]
    if (second === undefined) nested[first] = flat[key]
    else
      nested[first] = {
        ...(nested[first] as object),
        ...(flat[key] !== undefined && { [second]: flat[key] }),
      }
  }
  return nested
}

/** `sqlite:{home}/store.sqlite`, with the setting that the braces name; it stands earlier in the schema. */
function fill(value: unknown, flat: Readonly<Record<string, unknown>>): unknown {
  if (typeof value !== 'string') return value
  return value.replaceAll(/\{([\w.]+)\}/g, (_, key: string) => String(flat[key]))
}

function absolute(path: string): string {
  return resolve(path.replace(/^~(?=\/|$)/, homedir()))
}

/** An origin in words: `environment CONCORD_HOME`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default'
    case 'file':
      return `file ${origin.place}`
    case 'environment':
      return `environment ${origin.name}`
    case 'flag':
      return `flag ${origin.name}`
  }
}
