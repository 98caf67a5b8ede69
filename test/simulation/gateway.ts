/**
 * GatewayModel: writes users' requests to the store, and checks that they were carried out.
 *
 *   GM1. An instance that should end or restart when its command was acknowledged does not exist at the end.
 *   GM2. A command lowers the wanted instances once.
 * @module
 */
import type {
  CommandDocument,
  FunctionDocument,
  SeatDocument,
  VersionDocument,
} from '../../infra/store/documents.ts'
import { withoutRollout } from '../../infra/store/rollout-progress.ts'
import { type Manifest, type ManifestInput, manifestSchema } from '../../sdk/manifest/manifest.ts'
import { bundleOf, withCanary } from './canaries.ts'
import type { Loop } from './loop.ts'
import { putOutcome } from './outcomes.ts'
import type { StoreModel } from './store.ts'

const functions = ['fn-0', 'fn-1', 'fn-2']
export const partitions = 4
/**
 * The most that anybody wants of one function, so that all that is wanted has room when all is well: three functions of
 * so many in one zone (7.5 of its 8 CPUs), and one with three on a host (12).
 */
export const instancesMost = 5

/** Alone, several to a runner, or several of all functions. */
const packings: Partial<ManifestInput>[] = [
  {},
  {},
  { instancesPerRunner: 3 },
  { pack: 'small', instancesPerRunner: 4 },
]
/** The picky are the more important: so that they find their place, others may have to make room. */
const placements: ManifestInput['placement'][] = [
  undefined,
  { constraints: ['zone == a'], priority: 3 },
  { constraints: ['hostname maxPer 3'], priority: 2 },
  { constraints: ['zone groupBy'], priority: 1 },
]
const manifests = new Map<string, Manifest>()

/** Of manifests: so many as differ. */
const kinds = 3 * 2 ** 9

/** Parsed once for all runs. */
function manifestOf(name: string, among: number): Manifest {
  const choice = among % kinds
  const key = `${name} ${choice}`
  const found = manifests.get(key)
  if (found !== undefined) return found
  const isSpread = choice % 3 === 0
  const manifest = manifestSchema.parse({
    name,
    restarts: 1_000_000,
    istreams: {
      [`in-${name}`]: { grouping: isSpread ? 'shuffle' : 'groupBy' },
      ...(isSpread && (choice >> 8) % 2 === 0 ? { all: { grouping: 'broadcast' as const } } : {}),
    },
    ostreams: ['out'],
    instances: (choice >> 2) % 5,
    resources: { cpus: [0.5, 0.25, 0.1][choice % 3]!, memMib: 64 },
    ...packings[(choice >> 4) % packings.length],
    placement: placements[(choice >> 6) % placements.length],
    ...(choice >> 9 > 0 && { rollout: { rolling: 1 + (choice % 2) } }),
  } satisfies ManifestInput)
  manifests.set(key, manifest)
  return manifest
}

interface Asked {
  readonly command: string
  readonly seat: SeatDocument
}

export class GatewayModel {
  readonly #loop: Loop
  readonly #store: StoreModel
  #ids = 0
  readonly #asked: Asked[] = []

  constructor(loop: Loop, store: StoreModel) {
    this.#loop = loop
    this.#store = store
    for (const name of functions) store.create('stream', `in-${name}`, { schema: 1, partitions, raw: false })
  }

  deploy(choice: number, instances?: number): void {
    const name = functions[choice % functions.length]!
    this.#deploy(name, manifestOf(name, Math.floor(choice / functions.length)), false, instances)
  }

  /** A version that can take over from the one that is wanted, and has a part of the keys first. */
  deployCanary(choice: number): void {
    const name = this.#some(choice)
    const document = name && this.#store.get<FunctionDocument>('function', name)?.value
    const before =
      document && this.#store.get<VersionDocument>('version', `${name}@${document.version}`)?.value
    if (!name || !document || !before) return
    this.#deploy(name, withCanary(before.manifest), choice % 3 === 0, document.instances)
  }

  /** A version of that manifest. */
  put(manifest: Manifest): void {
    this.#deploy(manifest.name, manifest, false)
  }

  #deploy(name: string, manifest: Manifest, isBad: boolean, instances = manifest.instances): void {
    const taken = this.#store.names('version').filter((key) => key.startsWith(`${name}@`))
    const version = 1 + Math.max(0, ...taken.map((key) => Number(key.slice(name.length + 1))))
    const document: VersionDocument = {
      ...{ schema: 1, version, bundleSha256: bundleOf(version, isBad), bundleBytes: 1, manifest },
      deployedAtMs: this.#loop.nowMs(),
    }
    this.#say(`deploys ${name} v${version}${isBad ? ', a bad one' : ''}`)
    this.#store.create('version', `${name}@${version}`, document)
    this.#change(name, (before) => ({
      ...(before === undefined ? { createdAtMs: this.#loop.nowMs() } : withoutRollout(before)),
      ...{ schema: 1, version, instances },
    }))
  }

  scale(choice: number): void {
    const name = this.#some(choice)
    const instances = (choice >> 4) % (instancesMost + 1)
    this.#say(`scales ${name} to ${instances}`)
    if (name !== undefined) this.#change(name, (before) => before && { ...before, instances }, true)
  }

  scaleTo(name: string, instances: number): void {
    this.#say(`scales ${name} to ${instances}`)
    this.#change(name, (before) => before && { ...before, instances }, true)
  }

  /** To an earlier version, at once: first what is wanted, then what became of the one that is left. */
  rollBack(name: string, version: number): void {
    const left = this.#store.get<FunctionDocument>('function', name)!.value.version
    this.#say(`rolls ${name} back to v${version}`)
    this.#change(name, (before) => before && { ...withoutRollout(before), version, atOnce: true })
    const outcome = { schema: 1, version: left, state: 'rolledBack', atMs: this.#loop.nowMs() } as const
    putOutcome(this.#store, name, outcome, undefined)
  }

  /** Puts shares on instances by their index; those that are not named are where their number puts them. */
  move(name: string, homes: Readonly<Record<string, number>>): void {
    this.#say(`moves shares of ${name}: ${JSON.stringify(homes)}`)
    this.#change(name, (before) => before && { ...before, homes }, true)
  }

  /** Fewer instances: so many at most. */
  shrink(name: string, most: number): void {
    this.#say(`scales ${name} to ${most} at most`)
    this.#change(name, (before) => before && { ...before, instances: Math.min(before.instances, most) }, true)
  }

  delete(choice: number): void {
    const name = this.#some(choice)
    this.#say(`deletes ${name}`)
    if (name !== undefined) this.#change(name, (before) => before && { ...before, deleted: true })
  }

  command(choice: number): void {
    const seat = this.#store.values<SeatDocument>('seat').at(choice % 7)
    const name = functions[choice % functions.length]!
    const instance = seat?.instance ?? `${name}-${choice % 5}`
    const command = `c${this.#ids++}`
    const restart = choice % 2 === 0
    const document: CommandDocument = {
      ...{ schema: 1, kind: 'killInstance', function: seat?.function ?? name, instance, restart },
    }
    this.#say(`asks ${instance} to ${restart ? 'restart' : 'go'} (${command})`)
    this.#store.create('command', command, document)
    if (seat !== undefined) this.#asked.push({ command, seat })
  }

  /** A command that was acknowledged and has come to nothing. */
  get forgotten(): string | undefined {
    for (const { command, seat } of this.#asked) {
      const now = this.#store.get<SeatDocument>('seat', seat.instance)?.value
      if (now?.taskId === seat.taskId && now.firstEpoch === seat.firstEpoch)
        return `${command}: ${seat.instance} is still the one at epoch ${seat.firstEpoch}`
    }
    return undefined
  }

  #some(choice: number): string | undefined {
    const names = this.#store.names('function')
    return names[choice % Math.max(1, names.length)]
  }

  #change(
    name: string,
    to: (before: FunctionDocument | undefined) => FunctionDocument | undefined,
    keepsDeletion = false,
  ): void {
    const found = this.#store.get<FunctionDocument>('function', name)
    const { deleted, ...before } = found?.value ?? {}
    const isThere = found === undefined ? undefined : ({ ...before } as FunctionDocument)
    const after = to(isThere)
    if (after === undefined) return
    const whole = keepsDeletion && deleted === true ? { ...after, deleted } : after
    if (found === undefined) this.#store.create('function', name, whole)
    else this.#store.update('function', name, whole, found.version)
  }

  #say(what: string): void {
    this.#loop.trace?.(`a user ${what}`)
  }
}
