/**
 * Master node: how a master says in ZooKeeper where it is. The name is a label and ZooKeeper's sequence number:
 * `json.info_0000000012` holds a MasterInfo as JSON; `info_0000000012`, of masters before 1.0, one as a protobuf. Other
 * nodes beside them (`log_replicas`) are none of ours.
 * @see https://github.com/apache/mesos, include/mesos/mesos.proto: MasterInfo
 * @module
 */
import * as z from 'zod'

/** The node of a master: the leader or a candidate. */
export interface MasterNode {
  readonly name: string
  readonly sequence: number
}

export const nodeLabel = 'json.info_'
const namePattern = /^(?:json\.)?info_(\d{10})$/
const portDefault = 5050

const masterInfo = z.object({
  address: z.object({ ip: z.string().optional(), hostname: z.string().optional(), port: z.int() }).optional(),
  hostname: z.string().optional(),
  port: z.int().default(portDefault),
  pid: z.string().optional(),
})

/** The leader's node: the lowest. */
export function leaderOf(names: readonly string[]): MasterNode | undefined {
  const nodes = names.flatMap((name) => {
    const digits = namePattern.exec(name)?.[1]
    return digits === undefined ? [] : [{ name, sequence: Number(digits) }]
  })
  return nodes.sort((a, b) => a.sequence - b.sequence)[0]
}

/** @returns `http://HOST:PORT` of the master; undefined if the node does not say it. */
export function urlOf(node: MasterNode, data: Uint8Array): string | undefined {
  const at = node.name.startsWith(nodeLabel) ? fromJson(data) : atOf(pidIn(data))
  return at === undefined || !URL.canParse(`http://${at}`) ? undefined : `http://${at}`
}

/** Prefers a master's address to its host name, which may mean nothing here. */
function fromJson(data: Uint8Array): string | undefined {
  const parsed = masterInfo.safeParse(parseQuietly(Buffer.from(data).toString()))
  if (!parsed.success) return undefined
  const { address, pid, hostname, port } = parsed.data
  const host = address?.ip ?? address?.hostname
  if (address !== undefined && host !== undefined) return `${bracketed(host)}:${address.port}`
  return atOf(pid) ?? (hostname === undefined ? undefined : `${bracketed(hostname)}:${port}`)
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** `master@HOST:PORT` → `HOST:PORT` */
function atOf(pid: string | undefined): string | undefined {
  return pid?.includes('@') ? pid.slice(pid.indexOf('@') + 1) : undefined
}

/** Reads field 4 of an encoded MasterInfo, and skips the others, which are numbers and texts. */
function pidIn(data: Uint8Array): string | undefined {
  let at = 0
  const varint = (): number => {
    for (let value = 0, scale = 1; at < data.length; scale *= 128) {
      const byte = data[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return Number.NaN
  }
  while (at < data.length) {
    const key = varint()
    const [field, wireType] = [key >> 3, key & 7]
    if (wireType !== 0 && wireType !== 2) return undefined
    const value = varint()
    if (wireType === 0) continue
    if (Number.isNaN(value) || at + value > data.length) return undefined
    if (field === 4) return Buffer.from(data.subarray(at, at + value)).toString()
    at += value
  }
  return undefined
}

function parseQuietly(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
