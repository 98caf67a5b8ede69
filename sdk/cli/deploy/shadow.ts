/**
 * Shadow: the options of a deploy whose version gets copies of all records, and watching what is found of it.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DeployAnswer } from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { ShadowView } from '../../versions/shadow.ts'
import type { CliErrorCode } from '../errors.ts'
import type { Project } from '../project/project-shape.ts'
import { Watched } from '../terminal.ts'
import { shadowLine } from '../text/shadow-text.ts'

const pollMs = 500

interface Written {
  readonly rollout?: { readonly shadow?: object }
}

/** Whether the project's file asks for a shadow. */
export function hasShadow({ manifest }: Project): boolean {
  return (manifest as Written).rollout?.shadow !== undefined
}

/** @param bake Its duration in seconds; it wins over the project's file. */
export function withShadow(project: Project, bake: number | undefined): Project {
  const written = project.manifest as Written
  const shadow = {
    ...written.rollout?.shadow,
    ...(bake !== undefined && { bakeMs: Math.round(bake * 1000) }),
  }
  return { ...project, manifest: { ...written, rollout: { ...written.rollout, shadow } } }
}

/**
 * Shows the findings until the shadow's time is over.
 * @throws {CodedError} ERR_FUNCTION_FAILED, with the reason, if it ended early.
 */
export function watchShadow(
  client: ConcordClient,
  deployed: Pick<DeployAnswer, 'name' | 'version'>,
): Promise<ShadowView> {
  const watched = new Watched()
  return untilOver(client, deployed, watched).finally(() => watched.clear())
}

async function untilOver(
  client: ConcordClient,
  { name, version }: Pick<DeployAnswer, 'name' | 'version'>,
  watched: Watched,
): Promise<ShadowView> {
  for (;;) {
    const shadow = await client.shadow(name, version)
    if (shadow.state === 'failed')
      throw new CodedError<CliErrorCode>(
        'ERR_FUNCTION_FAILED',
        `${name} v${version} has failed, v${shadow.from} runs as before: ${shadow.reason ?? 'nothing was said'}`,
      )
    if (shadow.state === 'over') return shadow
    const left = Math.max(0, Math.ceil((shadow.sinceMs + shadow.bakeMs - shadow.untilMs) / 1000))
    const topic = `${shadow.instances} of ${shadow.instancesOf}`
    watched.look(`${`${left} s left`.padEnd(10)} ${shadowLine(shadow)}`, topic, Date.now())
    await sleep(pollMs)
  }
}
