/**
 * What a figure was measured on.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { cpus, totalmem } from 'node:os'

/** One line: processor, cores, memory, Node, nats-server. */
export function machine(): string {
  const list = cpus()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  return `${list[0]?.model.trim() ?? 'unknown processor'}, ${list.length} cores, ${memory}, Node ${process.versions.node}, ${natsVersion()}`
}

function natsVersion(): string {
  try {
    return execFileSync(process.env['CONCORD_NATS_SERVER'] ?? 'nats-server', ['--version'], {
      encoding: 'utf8',
    }).trim()
  } catch {
    return 'nats-server unknown'
  }
}
