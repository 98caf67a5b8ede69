/**
 * Request: what the caller says about a change of the wanted version.
 * @module
 */
import type { FunctionDocument, VersionDocument } from '../../infra/store/index.ts'
import type { DeploySettings } from '../../sdk/api/index.ts'

/** What the caller asks of a deploy, and who asks. */
export type DeployRequest = Omit<DeploySettings, keyof GateWishes>

/** What the caller says about the gate. */
export type GateWishes = Pick<DeploySettings, 'dryRun' | 'accept'>

export function annotationsOf({
  author,
  message,
}: DeployRequest): Pick<VersionDocument, 'author' | 'message'> {
  return { ...(author === undefined ? {} : { author }), ...(message === undefined ? {} : { message }) }
}

export function drainOf({ drain }: DeployRequest): Pick<FunctionDocument, 'drain'> {
  return drain === true ? { drain } : {}
}
