/**
 * Reports: finds the report of one incarnation of an instance in a heartbeat. In a packed runner, incarnations can
 * follow within a second; their epochs tell them apart.
 * @module
 */
import type { AllowanceNotice } from '../../../infra/control/messages/accounts.ts'
import type { Heartbeat, InstanceReport } from '../../../infra/control/messages/heartbeat.ts'
import type { Draft } from './draft.ts'
import { isActive } from './roles.ts'
import type { FunctionState, Seat, Task } from './state.ts'

/** A seat's report in its task's last heartbeat. */
export function reportOf(task: Readonly<Task>, { document }: Readonly<Seat>): InstanceReport | undefined {
  return task.beat === undefined ? undefined : reportIn(task.beat, document.instance, document)
}

/** Whether a runner says that it works by the newest assignment. */
export function worksAsTold(task: Readonly<Task>): boolean {
  return task.assigned !== undefined && task.beat?.generation === task.assigned.generation
}

/** Whether this leader has launched a task and never heard its runner, which then never got an assignment. */
export function isUnheard(task: Readonly<Task>): boolean {
  return task.isKnown && task.beat === undefined
}

/** The reports of a function's wanted instances, each at the epoch that its seat has now. */
export function presentReports(draft: Draft, fn: FunctionState): InstanceReport[] {
  return fn.slots.flatMap((slot) => {
    const { seat } = slot
    if (seat === undefined || !isActive(slot)) return []
    const { instance, epoch } = seat.document
    const { beat } = draft.taskOf(seat)
    return beat?.instances.find((one) => one.id === instance && one.epoch === epoch) ?? []
  })
}

/** A seat's last allowance notice. */
export function noticeOf(task: Readonly<Task>, { document }: Readonly<Seat>): AllowanceNotice | undefined {
  const notice = task.notices?.get(document.instance)
  return notice !== undefined && isOf(notice, document) ? notice : undefined
}

/** Whether a notice or report belongs to the incarnation with these epochs. */
export function isOf(
  said: Pick<AllowanceNotice, 'epoch'>,
  { firstEpoch, epoch }: { readonly firstEpoch: number; readonly epoch: number },
): boolean {
  return said.epoch >= firstEpoch && said.epoch <= epoch
}

/**
 * The latest report of an instance at one of these epochs. There may be several: an instance can leave a seat and
 * return to it under the next leader.
 */
export function reportIn(
  beat: Heartbeat,
  id: string,
  seat: { readonly firstEpoch: number; readonly epoch: number },
): InstanceReport | undefined {
  let latest: InstanceReport | undefined
  for (const report of beat.instances) {
    if (report.id !== id || !isOf(report, seat)) continue
    if (latest === undefined || report.epoch > latest.epoch) latest = report
  }
  return latest
}
