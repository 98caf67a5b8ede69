/**
 * Settings: values out of the manifest's `env`. A function reads them in `init`, so that a wrong one stops the deploy.
 * @module
 */
import type { LifecycleContext } from 'concord'

type WithEnv = Pick<LifecycleContext, 'env'>

/** A whole number of at least `least`. */
export function setting(ctx: WithEnv, name: string, otherwise: number, least: number): number {
  const text = ctx.env[name]
  if (text === undefined) return otherwise
  const value = /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN
  if (value >= least && Number.isSafeInteger(value)) return value
  throw new RangeError(`Cannot use ${name}=${text}: expected a whole number, at least ${least}`)
}

/** The word that lines are matched with. */
export function wordSetting(ctx: WithEnv): string {
  const word = ctx.env['WORD'] ?? 'IRQ'
  if (word === '') throw new RangeError('Cannot use an empty WORD: every line holds it')
  return word
}

/** How far a line may be behind the latest line of its partition. */
export function latenessSetting(ctx: WithEnv): number {
  return setting(ctx, 'LATENESS_MS', 10_000, 0)
}

/** How long a partition may be without a line before its windows close. */
export function idleSetting(ctx: WithEnv): number {
  return setting(ctx, 'IDLE_MS', 10_000, 1)
}
