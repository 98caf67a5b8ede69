/**
 * Actions: which of the core's actions write to the store, and how they are printed.
 * @module
 */
import type { Action } from '../../scheduler/core/index.ts'

export type ActionOf<K extends Action['kind']> = Extract<Action, { readonly kind: K }>

/** A new action is one or the other, or this does not compile. */
const isStored: Readonly<Record<Action['kind'], boolean>> = {
  saveEpoch: true,
  createTask: true,
  removeTask: true,
  createSeat: true,
  updateSeat: true,
  removeSeat: true,
  saveStatus: true,
  lowerInstances: true,
  settleVersion: true,
  saveCanary: true,
  saveShadow: true,
  saveRolling: true,
  saveOutcome: true,
  removeCommand: true,
  removeFollower: true,
  removeFunction: true,
  launch: false,
  decline: false,
  wantOffers: false,
  kill: false,
  reconcile: false,
  acknowledge: false,
  askReceivers: false,
  assign: false,
  log: false,
}

/** Whether it goes to the store, and what follows waits for it. */
export function isWrite(action: Action): boolean {
  return action.kind === 'saveStatus' ? action.urgent : isStored[action.kind]
}

/** For the trace. */
export function describe(action: Action): string {
  switch (action.kind) {
    case 'assign': {
      const { taskId, generation, instances } = action.assignment
      const said = instances.map(({ id, epoch, partitions, giving = [], awaited = [] }) => {
        const moves = `${giving.map(({ share }) => ` gives ${share}`).join('')}${awaited.map(({ share }) => ` awaits ${share}`).join('')}`
        return `${id}@${epoch} [${Object.values(partitions)[0]?.join(' ') ?? ''}]${moves}`
      })
      return `assigns ${taskId} #${generation}: ${said.join(', ')}`
    }
    case 'createSeat':
    case 'updateSeat': {
      const { instance, taskId, epoch, shares, told, awaited = [] } = action.document
      return `${action.kind} ${instance}@${epoch} in ${taskId}: has ${shares.join(' ')}; told ${told.join(' ')}; awaits ${awaited.map(({ share }) => share).join(' ')}`
    }
    case 'launch':
      return `launches ${action.launches.map(({ document }) => `${document.taskId} on ${document.hostname}`).join(', ')}`
    case 'createTask':
      return `writes down ${action.document.taskId}`
    case 'saveStatus':
      return `saves the status of ${action.document.function}`
    case 'acknowledge':
      return `acknowledges ${action.update.taskId} ${action.update.condition}`
    default:
      return `${action.kind} ${Object.values(action)
        .slice(1)
        .map((value) => (typeof value === 'object' ? JSON.stringify(value) : value))
        .join(' ')}`
  }
}
