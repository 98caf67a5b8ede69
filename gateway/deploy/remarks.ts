/**
 * Remarks: consequences that the caller of a deploy or scale may not expect, listed in the answer. Pure.
 *
 *   RM1. Settings that a manifest leaves out fall back to their defaults; those that were different before are named.
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import type { VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import { assetBytesOf } from '../../sdk/manifest/assets.ts'
import { isObject } from '../../sdk/manifest/changes.ts'
import { type Manifest, memMibGood } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { movedView } from '../catalog/views.ts'

/**
 * Partitions moved by hand that will not stay there: other resources mean other instances
 * (docs/design/0035-vertical.md).
 */
export function lapsedMoves({ name, document, version }: LiveFunction, { resources }: Manifest) {
  const { homes: moved } = document
  if (moved === undefined || isDeepStrictEqual(version.manifest.resources, resources)) return {}
  return { lapsed: movedView(name, moved) }
}

/** Memory that does not hold what the limits allow, beside the assets. */
export function tightMemory({
  manifest,
  assets = {},
}: Pick<VersionDocument, 'manifest' | 'assets'>): Pick<DeployAnswer, 'tight'> {
  const { memMib } = manifest.resources
  const enough = memMibGood(manifest, assetBytesOf(assets))
  return enough === undefined || enough <= memMib ? {} : { tight: { memMib, enough } }
}

/**
 * Settings that RM1 leaves out: the code must say its name and streams, and the count of instances has its own rule.
 */
const notSettings: ReadonlySet<string> = new Set(['name', 'istreams', 'ostreams', 'instances'])

/** RM1. @param uploaded The manifest as it was sent, or nothing; it wins over the code's metadata. */
export function resetOf(
  live: LiveFunction | undefined,
  now: Manifest,
  metadata: unknown,
  uploaded: unknown,
): Pick<DeployAnswer, 'reset'> {
  if (live === undefined) return {}
  const said = { ...(isObject(metadata) && metadata), ...(isObject(uploaded) && uploaded) }
  const before = live.version.manifest
  const keys = [...new Set([...Object.keys(before), ...Object.keys(now)])] as (keyof Manifest)[]
  const reset = keys
    .filter((key) => !notSettings.has(key))
    .flatMap((key) => changesOf(key, before[key], now[key], said[key]))
  return reset.length === 0 ? {} : { reset }
}

function changesOf(
  what: string,
  was: unknown,
  is: unknown,
  said: unknown,
): NonNullable<DeployAnswer['reset']> {
  if (isDeepStrictEqual(was, is)) return []
  if (isObject(was) && isObject(is) && (said === undefined || isObject(said)))
    return Object.keys({ ...was, ...is }).flatMap((key) =>
      changesOf(`${what}.${key}`, was[key], is[key], said?.[key]),
    )
  return said === undefined ? [{ what, was: textOf(was), is: textOf(is) }] : []
}

function textOf(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value)
}
