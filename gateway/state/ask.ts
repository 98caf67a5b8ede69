/**
 * Ask: a question to the runner of one instance, and asking again while partitions move.
 * @module
 */
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import { type Clock, sleep } from '../../infra/clock.ts'
import { decodeStateAnswer, encodeState, type StateAnswer, type StateAsk } from '../../infra/control/index.ts'
import type { InstanceStatus } from '../../infra/store/index.ts'
import type { Catalog } from '../catalog/catalog.ts'

const answerMs = 5_000
/** A partition that moves is with its next owner within a few milliseconds, and seldom later than this. */
export const movingMs = 2_000
/** After the first round; then twice as long each time. */
const againMs = 50

export const movingText = 'no instance has them now: they move, or their instance starts or is not wanted'

/** An instance that may be asked. */
export type Seat = InstanceStatus & { readonly taskId: string }

export interface Asking {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly clock: Clock
  readonly catalog: Catalog
}

/** The instances of a function that have a task, as far as the store knows by now. */
export function seatsOf({ catalog }: Asking, name: string): Seat[] {
  const all = catalog.current.functions.get(name)?.status?.instances ?? []
  return all.filter((one): one is Seat => one.taskId !== undefined)
}

export async function askSeat(
  { nc, namespace }: Asking,
  { id, taskId }: Seat,
  ask: Omit<StateAsk, 'schema' | 'instance'>,
): Promise<StateAnswer> {
  const question = encodeState({ schema: 1, instance: id, ...ask })
  return await nc.request(subjects.stateSubject(namespace, taskId), question, { timeout: answerMs }).then(
    ({ data }) => decodeStateAnswer(data),
    () => ({
      ok: false,
      message: `its runner does not answer: it starts or ends, a callback takes longer than ${answerMs / 1000} s, or it is of an earlier build`,
    }),
  )
}

/**
 * Asks in rounds until one has everything, or the time is up.
 * @param round The first one asks who should have it; the others everybody, since the store knows of a move later than runners do.
 */
export async function whileMoving(
  { clock }: Pick<Asking, 'clock'>,
  untilMs: number,
  round: (isFirst: boolean) => Promise<boolean>,
): Promise<void> {
  for (let waitMs = againMs; !(await round(waitMs === againMs)); waitMs *= 2) {
    const leftMs = untilMs - clock.monotonicMs()
    if (leftMs <= 0) return
    await sleep(clock, Math.min(waitMs, leftMs))
  }
}
