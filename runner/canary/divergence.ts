/**
 * Divergence: whether a canary would make of records what the version before makes of them.
 *
 *   DV1. The new version is a shadow beside the control: it is given the records that the version before does with the control's keys,
 *        on a copy of the state, and compared by a shadow's means. What it does with keys of its own has no part in it.
 *   DV2. It is of one step, whose keys they are.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { type CanaryRules, shadowSchema } from '../../sdk/manifest/manifest.ts'
import type { ShadowEvidence } from '../../sdk/versions/shadow.ts'
import { Findings } from '../shadow/findings.ts'
import type { Shadow, ShadowOptions } from '../shadow/shadow.ts'
import { Witness } from '../shadow/witness.ts'

/** What a shadow is made of here. */
export type DivergenceOptions = Pick<ShadowOptions, 'rules' | 'setting' | 'findings' | 'onEnded'>

export class Divergence {
  readonly #findings = new Findings({ listedMax: 0, list: () => false })
  readonly #shadow: Shadow
  /** Of the control's calls. */
  readonly witness: Witness

  /** @param onEnded Hears why nothing is compared any more. */
  constructor(
    { stateMib }: CanaryRules,
    make: (options: DivergenceOptions) => Shadow,
    onEnded: (why: string) => void,
  ) {
    this.#shadow = make({
      rules: { ...shadowSchema.parse({}), stateMib },
      setting: 'rollout.canary',
      findings: this.#findings,
      onEnded,
    })
    this.witness = new Witness(this.#shadow)
    this.#shadow.begin().catch((error: Error) => onEnded(error.message))
  }

  /** `live` is the version before, `shadow` the canary's. */
  evidence(): ShadowEvidence {
    return this.#findings.evidence()
  }

  end(): void {
    this.#shadow.end()
  }
}
