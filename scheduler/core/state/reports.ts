/**
 * Reports: which of a heartbeat's reports is that of which incarnation of an instance. In a packed runner one may follow
 * the other within a second; epochs tell them apart.
 * @module
 */
import type { AllowanceNotice, Heartbeat, InstanceReport } from '../../../infra/control/messages.ts'
import type { Seat, Task } from './state.ts'

/** What the last heartbeat of its task said of a seat. */
export function reportOf(task: Readonly<Task>, { document }: Readonly<Seat>): InstanceReport | undefined {
  return task.beat === undefined ? undefined : reportIn(task.beat, document.instance, document)
}

/** The notice of an allowance that came behind that. */
export function noticeOf(task: Readonly<Task>, { document }: Readonly<Seat>): AllowanceNotice | undefined {
  const notice = task.notices?.get(document.instance)
  return notice !== undefined && isOf(notice, document) ? notice : undefined
}

/** Whether it is of this incarnation of its instance. */
export function isOf(
  said: Pick<AllowanceNotice, 'epoch'>,
  { firstEpoch, epoch }: { readonly firstEpoch: number; readonly epoch: number },
): boolean {
  return said.epoch >= firstEpoch && said.epoch <= epoch
}

/** The latest report of an instance at one of these epochs: it may have left, and come back in the same seat with the next leader. */
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
