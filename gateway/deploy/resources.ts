/**
 * Resources: what each instance gets, by the manifest or by a change by hand. Pure.
 *
 *   RE1. A size set by hand survives deploys as long as the manifest's value stays the same, like a count of
 *        instances.
 * @module
 */
import type { VersionDocument } from '../../infra/store/index.ts'
import { type DeployAnswer, type Size, sizes } from '../../sdk/api/index.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'

/** The wanted resources of each instance; what is left out stays. */
export type ResourcesWish = { readonly [What in Size]?: number | undefined }

type Sized = Pick<VersionDocument, 'manifest' | 'manifestResources'>

/** The version with other resources; undefined if it has them already. */
export function resized({ manifest, manifestResources }: Sized, wish: ResourcesWish): Sized | undefined {
  const { resources: had } = manifest
  const resources = { ...had, ...wishOf(wish) }
  if (sizes.every((what) => resources[what] === had[what])) return undefined
  const said = manifestResources ?? sizesOf(had)
  const isAsSaid = sizes.every((what) => resources[what] === said[what])
  return { manifest: { ...manifest, resources }, manifestResources: isAsSaid ? undefined : said }
}

/**
 * Applies the sizes set by hand to a new manifest (RE1).
 * @param live The wanted version.
 * @param meant Sizes to take from the manifest in any case.
 * @returns The manifest with those sizes, and which sizes they are.
 */
export function keptByHand(
  manifest: Manifest,
  live: Sized | undefined,
  meant: readonly Size[] = [],
): Sized & Pick<DeployAnswer, 'byHand'> {
  const { manifestResources: before } = live ?? {}
  if (live === undefined || before === undefined) return { manifest }
  const said = manifest.resources
  const byHand = sizes.flatMap((what) => {
    const is = live.manifest.resources[what]
    if (meant.includes(what)) return []
    return said[what] === before[what] && is !== said[what] ? [{ what, is, manifest: said[what] }] : []
  })
  if (byHand.length === 0) return { manifest }
  const kept = Object.fromEntries(byHand.map(({ what, is }) => [what, is]))
  return {
    manifest: { ...manifest, resources: { ...said, ...kept } },
    manifestResources: sizesOf(said),
    byHand,
  }
}

function sizesOf({
  cpus,
  memMib,
  diskMib,
}: Manifest['resources']): NonNullable<VersionDocument['manifestResources']> {
  return { cpus, memMib, diskMib }
}

function wishOf(wish: ResourcesWish): Partial<Manifest['resources']> {
  return Object.fromEntries(Object.entries(wish).filter(([, size]) => size !== undefined))
}
