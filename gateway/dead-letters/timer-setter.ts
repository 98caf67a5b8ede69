/**
 * TimerSetter: sets the timers of dead letters again, by asking the owner of the state that they belong to.
 *
 *   TS1. It returns once all timers are set, and stored in a checkpoint if the function has checkpoints.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import { decodeTimersAnswer, encodeTimers } from '../../infra/control/index.ts'
import type { Letter } from '../../infra/dead-letters/index.ts'
import { isOwnArena, partitionOfArena } from '../../sdk/wire/arenas.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'

/** Generous, since a large state takes long to store. */
const answerMs = 20_000

export interface TimerSetterOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly view: () => CatalogView
}

/** The instance that has the state of a timer. */
export interface TimerOwner {
  readonly instance: string
  readonly taskId: string
}

export class TimerSetter {
  readonly #options: TimerSetterOptions

  constructor(options: TimerSetterOptions) {
    this.#options = options
  }

  /** @throws {CodedError} ERR_INSTANCE_UNKNOWN if nobody has it now. */
  ownerOf(functionName: string, { arena, instance }: NonNullable<Letter['timer']>): TimerOwner {
    const partition = partitionOfArena(arena)
    const seats = this.#options.view().functions.get(functionName)?.status?.instances ?? []
    const owner = seats.find(({ index, shares }) =>
      isOwnArena(arena) ? index === instance : shares?.includes(partition) === true,
    )
    if (owner?.taskId !== undefined && owner.state === 'running')
      return { instance: owner.id, taskId: owner.taskId }
    const whose = isOwnArena(arena) ? `instance ${instance}` : `partition ${partition}`
    throw refuse(
      'ERR_INSTANCE_UNKNOWN',
      `Cannot set timers of '${functionName}' again: ${whose} of it is not at work. \`concord fn inspect ${functionName}\` says why; redrive then.`,
    )
  }

  /** @throws {CodedError} ERR_REDRIVE */
  async set({ instance, taskId }: TimerOwner, letters: readonly Letter[]): Promise<void> {
    const { nc, namespace } = this.#options
    const timers = letters.map(({ record, timer }) => ({
      partition: timer!.arena,
      key: Buffer.from(record.key).toString('utf8'),
      timeMs: record.timeMs,
    }))
    const ask = encodeTimers({ schema: 1, instance, timers })
    const answer = await nc
      .request(subjects.timersSubject(namespace, taskId), ask, { timeout: answerMs })
      .then(({ data }) => decodeTimersAnswer(data))
      .catch(() => ({ ok: false as const, message: 'its runner does not answer' }))
    if (answer.ok) return
    throw refuse(
      'ERR_REDRIVE',
      `Not confirmed: timers of ${instance} may not be set again (${answer.message}). Their letters are 'redriving'; \`concord dlq redrive --again\` sets them once more, and a timer that is set twice is set once.`,
    )
  }
}
