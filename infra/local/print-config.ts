/**
 * PrintConfig: prints every setting with its value and origin, for `concord config`: `node infra/local/print-config.ts [--home DIR]`.
 * For settings that `concord up` overrides for its processes, it prints what they were told.
 * @module
 */
import { describeOrigin, type LoadedConfig, settings } from '../config/index.ts'
import { isAlive } from '../process.ts'
import { runCommand } from './command.ts'
import { homeOf } from './home.ts'
import { readUpFile } from './up-file.ts'

export interface SettingReport {
  readonly key: string
  /** A secret that is set shows as `***`; what is unset has no value. */
  readonly value?: unknown
  readonly origin: string
  readonly environment: string
  readonly description: string
}

/** Every setting, ready to print. @param told What `up` has told its processes, and the name of that origin. */
export function reportSettings(
  loaded: LoadedConfig,
  told: Told = { by: '', settings: {} },
): readonly SettingReport[] {
  return settings.map(({ key, env, description, secret }) => {
    const configured = key
      .split('.')
      .reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], loaded.values)
    const value = told.settings[key] ?? configured
    const origin = value === configured ? describeOrigin(loaded.origins[key]!) : told.by
    const shown = value === undefined ? {} : { value: secret ? '***' : withoutLogin(value) }
    return { key, ...shown, origin, environment: env, description }
  })
}

interface Told {
  readonly by: string
  readonly settings: Readonly<Record<string, unknown>>
}

/**
 * What the `up` of this home has told its processes. If it no longer runs, only what the next one reuses: the place
 * of the store, and freely chosen ports that no setting overrides.
 */
async function toldIn({ values, origins }: LoadedConfig): Promise<Told | undefined> {
  const file = await readUpFile(homeOf(values.home))
  if (file?.settings === undefined) return undefined
  if (isAlive(file.up)) return { by: `concord up (pid ${file.up.pid})`, settings: file.settings }
  const ports = Object.entries(file.freePorts)
    .map(([name, port]) => [`${name}.port`, port] as const)
    .filter(([key]) => origins[key]?.kind === 'default')
  const settings = { 'store.url': file.settings['store.url'], ...Object.fromEntries(ports) }
  return { by: 'concord up, when it ran last', settings }
}

/** A URL may hold a password too. */
function withoutLogin(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/(?<=:\/\/)[^/@]*@/, '***@') : value
}

if (import.meta.main)
  await runCommand('read the settings', 0, async ({ loaded }) => reportSettings(loaded, await toldIn(loaded)))
