/**
 * The assets of a version: those of the wanted version with a call's changes, the checks on them, and which of them get
 * other bytes.
 * Design: docs/design/0029-assets.md
 * @module
 */
import type { Assets } from '../../infra/bundles/index.ts'
import type { VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer, VersionSummary } from '../../sdk/api/index.ts'
import { type AssetRef, type AssetRefs, assetBytesOf, assetsMax } from '../../sdk/manifest/assets.ts'
import { assetRoomMib, type Manifest, memMibForAssets } from '../../sdk/manifest/manifest.ts'
import { refuse } from '../errors.ts'

/** By name: the hash of an uploaded asset, or null to remove the name. */
export type AssetChanges = Readonly<Record<string, string | null>>

/**
 * @param name The function's name.
 * @throws {CodedError} ERR_ASSET_UNKNOWN
 */
export async function assetsWith(
  assets: Pick<Assets, 'keep'>,
  name: string,
  before: AssetRefs,
  changes: AssetChanges,
): Promise<AssetRefs> {
  const after = new Map<string, AssetRef>(Object.entries(before))
  for (const [asset, sha256] of Object.entries(changes)) {
    if (sha256 === null && !after.delete(asset)) throw unknownName(name, asset)
    if (sha256 !== null) after.set(asset, { sha256, bytes: await sizeOf(assets, sha256) })
  }
  return Object.fromEntries([...after].sort(([one], [other]) => (one < other ? -1 : 1)))
}

async function sizeOf(assets: Pick<Assets, 'keep'>, sha256: string): Promise<number> {
  const bytes = await assets.keep(sha256)
  if (bytes === undefined) throw unknownContent(sha256)
  return bytes
}

/** @throws {CodedError} ERR_ASSET_NEEDED, ERR_TOO_LARGE */
export function checkAssets(manifest: Manifest, assets: AssetRefs): void {
  const { name } = manifest
  const lacking = (manifest.assets ?? []).find((asset) => !Object.hasOwn(assets, asset))
  if (lacking !== undefined)
    throw refuse(
      'ERR_ASSET_NEEDED',
      `Cannot let '${name}' be without asset '${lacking}': its manifest names it in 'assets'. Deploy it with the file in the folder assets/ or by --asset FILE, or give it to a function that is there by \`concord asset push ${name} FILE\`.`,
    )
  const count = Object.keys(assets).length
  if (count > assetsMax)
    throw refuse(
      'ERR_TOO_LARGE',
      `Cannot give '${name}' ${count} assets: a version has at most ${assetsMax}. Put several files into one.`,
    )
  const bytes = assetBytesOf(assets)
  const room = assetRoomMib(manifest)
  if (bytes <= room * 2 ** 20) return
  const mib = Math.ceil(bytes / 2 ** 20)
  const { memMib } = manifest.resources
  const [left, enough] = [Math.max(0, room), memMibForAssets(manifest, mib)]
  throw refuse(
    'ERR_TOO_LARGE',
    `Cannot give '${name}' assets of ${mib} MiB: of ${memMib} MiB (resources.memMib) ${left} are left for them, beside the runner itself and a fifth that stays free. Give it at least ${enough} MiB: \`concord fn scale ${name} --mem ${enough}\` if it is there, or resources.memMib in its concord.jsonc.`,
  )
}

/**
 * A remark: the assets that get other bytes, and the versions that brought the bytes before and the new ones. A file of
 * the deploy wins over one that was pushed since, which its author may not expect.
 * @param versions Those of the function, newest first; read only if an asset differs.
 */
export async function replacedAssets(
  before: VersionDocument,
  after: AssetRefs,
  versions: () => Promise<readonly VersionSummary[]>,
): Promise<Pick<DeployAnswer, 'replaced'>> {
  const { assets: had = {} } = before
  const differing = Object.keys(had).filter((asset) => had[asset]?.sha256 !== after[asset]?.sha256)
  if (differing.length === 0) return {}
  const all = await versions()
  const firstWith = (refs: AssetRefs, asset: string) =>
    all.findLast(({ assets }) => assets[asset]?.sha256 === refs[asset]?.sha256)
  const replaced = differing.map((asset) => {
    const { version, author, message } = firstWith(had, asset) ?? before
    return { asset, had: { version, author, message }, again: firstWith(after, asset)?.version }
  })
  return { replaced }
}

export function unknownContent(sha256: string): Error {
  return refuse(
    'ERR_ASSET_UNKNOWN',
    `There are no bytes with the sha256 ${sha256}. Send them first: PUT /v1/assets/${sha256}, as \`concord asset push\` does.`,
  )
}

function unknownName(name: string, asset: string): Error {
  return refuse(
    'ERR_ASSET_UNKNOWN',
    `'${name}' has no asset '${asset}'. \`concord asset ls ${name}\` shows those it has.`,
  )
}
