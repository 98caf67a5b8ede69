/**
 * Gatekeeper: has the runners of a function judge a new version on their tapes, and stops the deploy if its gate's
 * rules say so.
 *
 *   GK1. Judging changes nothing: the version does not exist yet, and its code is in the bundle store under its hash.
 *   GK2. If no instance works, there is nothing to compare with, and the version passes: a deploy that repairs a
 *        broken function must get through. An instance that does not answer stops the version.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { codeOf, decodeGateAnswer, encodeGate, type GateAsk } from '../../infra/control/index.ts'
import type { InstanceStatus, VersionDocument } from '../../infra/store/index.ts'
import {
  breachesOf,
  type GateEvidence,
  type GateReport,
  noGateEvidence,
  sumOfGates,
} from '../../sdk/versions/gate.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'

/** How long a runner may take to judge, one instance after another, and how long its answer is awaited. */
const limitMs = 10_000
const answerMs = limitMs + 12_000

export interface GatekeeperOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly clock: Clock
}

/** A version to judge. */
export interface Candidate
  extends Pick<VersionDocument, 'bundleSha256' | 'sourceMapSha256' | 'assets' | 'manifest' | 'stateFormat'> {
  /** By output stream: its number of partitions. */
  readonly partitions: GateAsk['partitions']
}

export class Gatekeeper {
  readonly #options: GatekeeperOptions

  constructor(options: GatekeeperOptions) {
    this.#options = options
  }

  /** @param good The version that runs. */
  async judge(live: LiveFunction, good: VersionDocument, next: Candidate): Promise<GateReport> {
    const { clock } = this.#options
    const startMs = clock.monotonicMs()
    const atWork = (live.status?.instances ?? []).filter(isAtWork)
    const { version, formatsBefore } = live.document
    const its = codeOf({ ...next, version: version + 1 }, good, formatsBefore)
    const inRunner = Map.groupBy(atWork, ({ taskId }) => taskId)
    const all = await Promise.all(
      atWork.map((one) => this.#ask(one, its, next, limitMs / inRunner.get(one.taskId)!.length)),
    )
    const evidence = sumOfGates(all)
    const rules = next.manifest.gate
    return {
      ...{ name: live.name, from: good.version, tookMs: Math.round(clock.monotonicMs() - startMs), evidence },
      instances: all.filter(({ failed }) => failed === undefined).length,
      instancesOf: live.document.instances,
      ...(rules && { breaches: atWork.length === 0 ? [] : breachesOf(rules, evidence) }),
    }
  }

  async #ask(
    { id, taskId }: InstanceStatus,
    next: GateAsk['next'],
    { partitions }: Candidate,
    limitMs: number,
  ): Promise<GateEvidence> {
    const { nc, namespace } = this.#options
    const ask: GateAsk = { schema: 1, instance: id, next, partitions, limitMs }
    try {
      const subject = subjects.gateSubject(namespace, taskId!)
      const { data } = await nc.request(subject, encodeGate(ask), { timeout: answerMs })
      const answer = decodeGateAnswer(data)
      return answer.ok ? answer.evidence : failedBy(`${id}: ${answer.message}`)
    } catch (error) {
      return failedBy(
        `the runner of ${id} gave no answer (${(error as Error).message}). It may have ended over it: \`concord fn logs ${id.replace(/-\d+$/, '')}\` shows that; or it is of a build without gates`,
      )
    }
  }
}

/**
 * @param accept The caller wants the version even if the rules ask.
 * @throws {CodedError} ERR_GATE_BLOCKS, ERR_GATE_ASKS
 */
export function holdUp(gate: GateReport, onBreach: 'block' | 'ask', accept: boolean): void {
  const { name, from, breaches = [] } = gate
  if (breaches.length === 0 || (onBreach === 'ask' && accept)) return
  const what = `Cannot let this version of '${name}' follow v${from}: on recent records ${breaches.join('; ')}.`
  const [code, how] =
    onBreach === 'ask'
      ? (['ERR_GATE_ASKS', 'If you want it anyway, deploy with --accept'] as const)
      : (['ERR_GATE_BLOCKS', 'If you want it anyway, change gate in its manifest'] as const)
  throw refuse(code, `${what} ${how}; nothing has changed.`, { gate })
}

function isAtWork({ state, taskId, retiring }: InstanceStatus): boolean {
  return (state === 'running' || state === 'swapping') && taskId !== undefined && retiring !== true
}

function failedBy(failed: string): GateEvidence {
  return { ...noGateEvidence(), failed }
}
