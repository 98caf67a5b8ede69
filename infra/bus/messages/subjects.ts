/**
 * Subjects: every NATS subject of Concord is spelled here and nowhere else (docs/design/0001-wire-formats.md).
 * @module
 */

/** Frames of a partition. */
export function partitionSubject(namespace: string, stream: string, partition: number | '*'): string {
  return `concord.${namespace}.s.${stream}.${partition}`
}

/** Frames of a partition for one consumer, which has a queue of its own (docs/design/0016-back-pressure.md). */
function laneSubject(namespace: string, stream: string, partition: number, consumer: string): string {
  return `${partitionSubject(namespace, stream, partition)}.${consumer}`
}

/** Where a partition's frames are sent, or those of a consumer's lane. */
export function outSubject(
  namespace: string,
  { stream, partition, consumer }: { stream: string; partition: number; consumer?: string | undefined },
): string {
  return consumer === undefined
    ? partitionSubject(namespace, stream, partition)
    : laneSubject(namespace, stream, partition, consumer)
}

/** One raw record a message, from any NATS client; header `Concord-Key` is the key. */
export function ingestSubject(namespace: string, stream: string): string {
  return `concord.${namespace}.in.${stream}`
}

/** The records of a stream marked `raw`, one a message, for any NATS client. */
export function rawSubject(namespace: string, stream: string): string {
  return `concord.${namespace}.out.${stream}`
}

/** Credits to one producer. */
export function creditSubject(namespace: string, producer: string): string {
  return `concord.${namespace}.c.credit.${producer}`
}

/** Claims of owners on partitions of a function's inputs. */
export function claimSubject(namespace: string, functionName: string): string {
  return `concord.${namespace}.c.claim.${functionName}`
}

/** Heartbeats: of a runner under its task id, of a gateway or another client under its own id. */
export function heartbeatSubject(namespace: string, id: string): string {
  return `concord.${namespace}.c.hb.${id}`
}

/** What a runner's instances may have sent before its next heartbeat; heartbeats themselves have no such last part. */
export function allowanceSubject(namespace: string, taskId: string): string {
  return `${heartbeatSubject(namespace, taskId)}.allowance`
}

/** Which producers are gone of whom the scheduler asks all runners how far they have come with them. */
export function goneSubject(namespace: string): string {
  return `concord.${namespace}.c.gone`
}

/** Commands to one runner, request and reply. */
export function taskSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.task.${taskId}`
}

/** What another runner asks of one whose partitions it is to have, request and reply. */
export function moveSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.move.${taskId}`
}

/** Asks a runner for the tap of one of its instances; the answer is empty if it has none. */
export function tapSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.tap.${taskId}`
}

/** Asks a runner to judge a version beside one of its instances, request and reply. */
export function gateSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.gate.${taskId}`
}

/** Asks a runner to set timers of one of its instances again, request and reply. */
export function timersSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.timers.${taskId}`
}

/** Asks a runner what the state of one of its instances has, request and reply. */
export function stateSubject(namespace: string, taskId: string): string {
  return `concord.${namespace}.c.state.${taskId}`
}

/** Log lines of a function, captured by the JetStream stream of logs. */
export function logSubject(namespace: string, functionName: string): string {
  return `concord.${namespace}.c.log.${functionName}`
}

/** Producers without credit for want of an owner. */
export function wantSubject(namespace: string, stream: string): string {
  return `concord.${namespace}.c.want.${stream}`
}

/** Checkpoints of a function, all of them: captured by the JetStream stream of checkpoints. */
export function checkpointSubjects(namespace: string, functionName: string): string {
  return `concord.${namespace}.k.${functionName}.>`
}

/** Which store the checkpoints of a namespace belong to. No function has such a name. */
export function checkpointMarkSubject(namespace: string): string {
  return `concord.${namespace}.k._store.id`
}

/** What names the checkpoints of a slot. */
export function checkpointManifestSubject(namespace: string, functionName: string, slot: string): string {
  return `concord.${namespace}.k.${functionName}.${slot}.m`
}

/** All parts of a slot's checkpoints. */
export function checkpointPartSubjects(namespace: string, functionName: string, slot: string): string {
  return `concord.${namespace}.k.${functionName}.${slot}.d.>`
}

/** A part of a segment of a slot's checkpoints. */
export function checkpointPartSubject(
  namespace: string,
  functionName: string,
  slot: string,
  segment: string,
  part: number,
): string {
  return `concord.${namespace}.k.${functionName}.${slot}.d.${segment}.${part}`
}

/** Dead letters of a function, so many in one message: the subject counts them, so that nobody needs to read all. */
export function deadLetterSubject(namespace: string, functionName: string, letters: number | '*'): string {
  return `concord.${namespace}.dead.${functionName}.${letters}`
}

/** What became of the letters of one message, by its sequence in the stream. */
export function redrivenSubject(
  namespace: string,
  functionName: string | '*',
  sequence: number | '*',
): string {
  return `concord.${namespace}.redriven.${functionName}.${sequence}`
}

/** What shadows of a version have found to differ. */
export function differencesSubject(
  namespace: string,
  functionName: string | '*',
  version: number | '*',
): string {
  return `concord.${namespace}.differ.${functionName}.${version}`
}

/** Frames that one producer has spilled for one input, captured by the JetStream stream of spills. */
export function spillSubject(
  namespace: string,
  functionName: string | '*',
  stream: string | '*',
  partition: number | '*',
  producer: string | '*',
): string {
  return `concord.${namespace}.q.${functionName}.${stream}.${partition}.${producer}`
}
