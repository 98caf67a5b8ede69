/**
 * WantedVersions: what the scheduler wants of the instance: a live version, and at times a canary of the next one.
 * @module
 */
import type { FunctionAssignment } from '../../../infra/control/messages/assignment.ts'
import type { StateFormat } from '../../../sdk/function.ts'
import { type Manifest, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import { sharesOf } from '../../../sdk/versions/canary.ts'
import { keeping } from '../../../sdk/versions/state-format.ts'
import { isIn } from './call.ts'

export type Policy = 'fail' | 'skip' | 'setAside'

const aside = JSON.parse('{"retry": 1, "waitMs": 100, "then": "skip", "keepOrder": true}') as object
const onError = { fail: 'fail', skip: 'skip', setAside: aside }

export class WantedVersions {
  readonly #manifest: Manifest
  #live = 1
  #last = 1
  #before: { readonly live: number; readonly format: StateFormat } | undefined
  #format: StateFormat = { own: 1, kept: 1 }
  #canary:
    | { readonly version: number; readonly step: number; readonly percent: number; readonly own: number }
    | undefined

  constructor(policy: Policy) {
    const istreams = { in: { grouping: 'groupBy' } }
    this.#manifest = manifestSchema.parse({ name: 'f', istreams, onError: onError[policy] })
  }

  get hasCanary(): boolean {
    return this.#canary !== undefined
  }

  get format(): StateFormat {
    return this.#format
  }

  /** Begins one, or gives it so many keys. @param own Whether it has a format of its own. */
  canary(percent: number, own: boolean): void {
    const present = this.#canary
    if (present !== undefined) this.#canary = { ...present, step: present.step + 1, percent }
    else {
      const version = ++this.#last
      this.#canary = { version, step: 0, percent, own: own ? version : this.#format.own }
    }
  }

  takeAway(): void {
    this.#canary = undefined
  }

  /** The canary's version has all keys, and may be taken back still. */
  promote(): void {
    const { own, version } = this.#canary!
    this.#before = { live: this.#live, format: this.#format }
    this.#format = { ...this.#format, own }
    this.#live = version
    this.#canary = undefined
  }

  /** It has not taken over: the version before is wanted again. */
  goBack(): void {
    const { live, format } = this.#before!
    this.#live = live
    this.#format = format
  }

  /** It may not any more. */
  settle(): void {
    this.#format = keeping(this.#format, this.#format.own)
  }

  isCanarys(key: string): boolean {
    return (
      this.#canary !== undefined && isIn(sharesOf(this.#canary.percent, this.#canary.version).canary, key)
    )
  }

  get assignment(): FunctionAssignment {
    const manifest = this.#manifest
    const said = { function: 'f', version: this.#live, manifest, streams: {}, format: this.#format }
    if (this.#canary === undefined) return said as unknown as FunctionAssignment
    const { version, own, step, percent } = this.#canary
    const rules = { steps: [100], maxSlowdown: 2 }
    const format = { ...this.#format, own, kept: this.#format.own }
    const canary = { version, step, percent, rules, manifest, format }
    return { ...said, canary } as unknown as FunctionAssignment
  }
}
