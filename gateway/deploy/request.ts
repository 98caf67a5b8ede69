/**
 * Request: what the caller says about a change of the wanted version.
 * @module
 */
import type { FunctionDocument, VersionDocument } from '../../infra/store/index.ts'
import type { Size } from './resources.ts'

/** What the caller asks of a deploy, and who asks. */
export interface DeployRequest {
  readonly author?: string | undefined
  readonly message?: string | undefined
  /** The number of instances, overriding the current one. */
  readonly instances?: number | undefined
  /** Sizes to take from the manifest even if they were set by hand. */
  readonly ownSizes?: readonly Size[] | undefined
  /** Drain and restart the instances instead of a swap in place. */
  readonly drain?: boolean | undefined
}

export function annotationsOf({
  author,
  message,
}: DeployRequest): Pick<VersionDocument, 'author' | 'message'> {
  return { ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) }
}

export function drainOf({ drain }: DeployRequest): Pick<FunctionDocument, 'drain'> {
  return drain === true ? { drain } : {}
}

/** What the caller says about the gate. */
export interface GateWishes {
  /** Report the findings, and deploy nothing. */
  readonly dryRun?: boolean | undefined
  /** Deploy even if the rules ask. */
  readonly accept?: boolean | undefined
}
