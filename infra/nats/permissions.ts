/**
 * Permissions: the subjects that each role may publish and subscribe to; nats-server enforces them.
 *
 * Invariants:
 *   A1. Only the gateway creates and changes JetStream streams. A runner reads bundles message by message; writes,
 *       reads and deletes messages of the checkpoint and spill streams; and adds dead letters and differences.
 *   A2. Only the scheduler commands tasks.
 *   A3. Only runners hand over partitions.
 *   A4. A client outside the platform publishes raw records, and receives frames and raw records.
 * @module
 */

export const natsRoles = ['gateway', 'scheduler', 'runner', 'client'] as const
export type NatsRole = (typeof natsRoles)[number]

export interface NatsPermissions {
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
  /** May send requests, and receives answers only in its own inbox. */
  readonly asks: boolean
  /** May answer requests on reply subjects on which it could not publish otherwise. */
  readonly respond: boolean
}

/** Subjects of every namespace; their parts are spelled in bus/subjects.ts. */
const frames = 'concord.*.s.>'
const rawIn = 'concord.*.in.>'
const rawOut = 'concord.*.out.>'
const credits = 'concord.*.c.credit.>'
const claims = 'concord.*.c.claim.>'
const heartbeats = 'concord.*.c.hb.>'
const tasks = 'concord.*.c.task.>'
const gone = 'concord.*.c.gone'
const moves = 'concord.*.c.move.>'
const taps = 'concord.*.c.tap.>'
const gates = 'concord.*.c.gate.>'
const timers = 'concord.*.c.timers.>'
const states = 'concord.*.c.state.>'
const logs = 'concord.*.c.log.>'
const wants = 'concord.*.c.want.>'
const checkpoints = 'concord.*.k.>'
const checkpointMarks = 'concord.*.k._store.id'
const deadLetters = 'concord.*.dead.>'
const differences = 'concord.*.differ.>'
const redriven = 'concord.*.redriven.>'
const spills = 'concord.*.q.>'
const channelEnds = [frames, credits, claims]

export const natsPermissions: Readonly<Record<NatsRole, NatsPermissions>> = {
  gateway: {
    publish: [
      ...channelEnds,
      heartbeats,
      wants,
      gone,
      rawOut,
      redriven,
      spills,
      checkpointMarks,
      taps,
      gates,
      timers,
      states,
      '$JS.API.>',
      '$JS.ACK.>',
      '$JS.FC.>',
      '$O.concord-bundles.>',
    ],
    subscribe: [...channelEnds, heartbeats, wants, rawIn, logs],
    respond: false,
    asks: true,
  },
  scheduler: {
    publish: [tasks, gone, heartbeats, logs],
    subscribe: [heartbeats, claims, wants],
    respond: false,
    asks: true,
  },
  runner: {
    publish: [
      ...channelEnds,
      heartbeats,
      wants,
      moves,
      logs,
      deadLetters,
      differences,
      '$JS.API.STREAM.INFO.OBJ_concord-bundles',
      '$JS.API.DIRECT.GET.OBJ_concord-bundles',
      '$JS.API.DIRECT.GET.OBJ_concord-bundles.>',
      '$JS.API.STREAM.MSG.GET.OBJ_concord-bundles',
      checkpoints,
      '$JS.API.STREAM.INFO.concord-checkpoints',
      '$JS.API.DIRECT.GET.concord-checkpoints',
      '$JS.API.DIRECT.GET.concord-checkpoints.>',
      '$JS.API.STREAM.MSG.GET.concord-checkpoints',
      '$JS.API.STREAM.MSG.DELETE.concord-checkpoints',
      spills,
      '$JS.API.DIRECT.GET.concord-spill',
      '$JS.API.STREAM.MSG.GET.concord-spill',
      '$JS.API.STREAM.MSG.DELETE.concord-spill',
    ],
    subscribe: [...channelEnds, tasks, gone, moves, taps, gates, timers, states],
    respond: true,
    asks: true,
  },
  client: { publish: [rawIn], subscribe: [frames, rawOut], respond: false, asks: false },
}
