/**
 * Options: what callers of ConcordClient pass.
 * @module
 */
import type { DeploySettings } from '../api/deploy.ts'
import type { DeadLetterFilter } from '../api/index.ts'

export interface ClientOptions {
  /**
   * The gateway's URL, e.g. `http://127.0.0.1:8642`. Of several, the next one is asked if one cannot be reached. One that
   * is reached and does not answer is left: reads are repeated at the next after 3 s, changes are not (`timeoutMs`).
   */
  readonly url: string | readonly string[]
  readonly token?: string | undefined
  /** Time limit for one answer. Default 30 s. */
  readonly timeoutMs?: number
}

export interface Bundled {
  /** An ES module without imports. */
  readonly bundle: string | Uint8Array
  readonly sourceMap?: string | Uint8Array
}

export interface OneSource {
  /** One source file, which the gateway bundles: it may import `concord` only. */
  readonly source: string | Uint8Array
  /** Its name in errors. */
  readonly file: string
}

export type Deployment = (Bundled | OneSource) & DeploymentSettings

export interface DeploymentSettings extends DeploySettings {
  /**
   * Everything that the code's metadata does not contain: resources, limits, env … (docs/reference/cli.md,
   * concord.jsonc).
   */
  readonly manifest: Readonly<Record<string, unknown>>
  /** By name: the sha256 of assets sent by `uploadAsset`. The function keeps its other assets. */
  readonly assets?: Readonly<Record<string, string>>
}

export interface Abortable {
  readonly signal?: AbortSignal | undefined
}

export interface LogOptions extends Abortable {
  /** Continue with new lines. */
  readonly follow?: boolean
  /** How many earlier lines to return. Default 100. */
  readonly tail?: number
  /** Called when the gateway has answered: from now on there are lines, or none. */
  readonly onOpen?: () => void
}

/** A filter of dead letters; all given conditions must hold. */
export interface DeadLetterOptions extends DeadLetterFilter {
  /** Default `waiting`: not redriven yet. */
  readonly state?: 'waiting' | 'redriven' | 'all'
  /** Letters in one answer, at most 1000. Default 100. */
  readonly limit?: number
  /** Continue after this letter: `next` of the previous answer. */
  readonly after?: string
}

export interface RedriveOptions extends DeadLetterFilter {
  /** Only these letters. */
  readonly ids?: readonly string[]
  /** Only report what would be done. */
  readonly dryRun?: boolean
  /** Include letters that an earlier redrive has claimed and perhaps not sent. */
  readonly again?: boolean
  /** Letters in one answer, at most and by default 10,000. */
  readonly limit?: number
  readonly after?: string
}

export interface StateOptions {
  /** Default: none, to list what is stored. */
  readonly key?: string | Uint8Array | undefined
  /** Default: all. */
  readonly partition?: number | undefined
  /** Lists keys that begin so. */
  readonly prefix?: string | undefined
  /** Lists about so many entries (default: 100); 0: only how much there is. */
  readonly limit?: number | undefined
  /** Lists on from the `cursor` of an answer. */
  readonly cursor?: string | undefined
}

export interface RemoveLettersOptions extends DeadLetterFilter {
  readonly after?: string
  readonly ids?: readonly string[]
  /** Default `waiting`; with `ids`, `all`. */
  readonly state?: 'waiting' | 'redriven' | 'all'
  readonly dryRun?: boolean
  readonly limit?: number
}
