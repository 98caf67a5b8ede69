/**
 * Generator: lines like those in the logs of supercomputers, from a seed; for tests and for trying the functions.
 *
 *   G1. The same seed and options give the same lines.
 *   G2. A line is at most `disorderMs` earlier than the latest line before it.
 *   G3. Some lines come twice, as when a relay repeats itself; the frequencies of words have a long tail.
 * @module
 */
import { Random } from '../demo/random.ts'

export interface LogOptions {
  readonly lines: number
  /** Time of the first line. Default 2004-12-12T20:12:28Z. */
  readonly startMs?: number
  /** The mean time between two lines. */
  readonly everyMs?: number
  readonly disorderMs?: number
  /** The share of lines that come twice. */
  readonly repeats?: number
}

type Style = (random: Random, seconds: number, node: string, payload: string) => string

const pad = (number: number) => String(number).padStart(2, '0')
const monthNames = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function head(seconds: number, node: string): string {
  const date = new Date(seconds * 1000)
  const day = `${date.getUTCFullYear()}.${pad(date.getUTCMonth() + 1)}.${pad(date.getUTCDate())}`
  return `- ${seconds} ${day} ${node}`
}

function syslogStamp(seconds: number): string {
  const date = new Date(seconds * 1000)
  const day = String(date.getUTCDate()).padStart(2) // two spaces before a day of one digit
  return `${monthNames[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 19)}`
}

const syslog: Style = (_, seconds, node, payload) =>
  `${head(seconds, node)} ${syslogStamp(seconds)} ${node}/${node} ${payload}`

const syslogOfUser: Style = (random, seconds, node, payload) =>
  `${head(seconds, node)} ${syslogStamp(seconds)} ${random.pick(['src', 'local', 'root'])}@${node} ${payload}`

const blueGene: Style = (random, seconds, node, payload) => {
  const [day, time] = new Date(seconds * 1000).toISOString().slice(0, 19).split('T') as [string, string]
  const stamp = `${day}-${time.replaceAll(':', '.')}.${random.integer(100_000, 999_999)}`
  return `${head(seconds, node)} ${stamp} ${node} RAS KERNEL INFO ${payload}`
}

const payloads: readonly ((random: Random) => string)[] = [
  (random) => `kernel: IRQ redirection table: ${random.integer(0, 23)}`,
  (random) =>
    `kernel: ACPI: IRQ${random.integer(3, 15)} used by override at 0x${random.integer(0, 4095).toString(16)}`,
  (random) => `crond(pam_unix)[${random.integer(900, 32_000)}]: session opened for user root by (uid=0)`,
  (random) =>
    `sshd[${random.integer(900, 32_000)}]: Accepted publickey for #${random.integer(1, 40)}# from 10.0.${random.integer(0, 15)}.${random.integer(1, 254)}`,
  (random) =>
    `ntpd[${random.integer(500, 2000)}]: synchronized to 10.100.16.1, stratum ${random.integer(1, 4)}`,
  (random) => `dhcpd: DHCPDISCOVER from 00:11:43:e3:${random.integer(10, 99)}:c3 via eth1`,
  (random) => `instruction cache parity error corrected`.replace('cache', random.pick(['cache', 'address'])),
  (random) => `generating core.${random.integer(1, 4096)}`,
  () => `-- MARK --`,
]

/** A node: often one of a few administrators' machines, else one of many. */
function pickNode(random: Random): string {
  const tail = Math.floor(1 / (random.next() + 0.002))
  return random.next() < 0.3 ? `ladmin${random.integer(1, 3)}` : `ln${tail}`
}

export function* generateLog(
  seed: number,
  {
    lines,
    startMs = Date.UTC(2004, 11, 12, 20, 12, 28),
    everyMs = 120,
    disorderMs = 0,
    repeats = 0.05,
  }: LogOptions,
): Generator<string> {
  const random = new Random(seed)
  let nowMs = startMs
  let latest = 0
  let again: string | undefined
  for (let i = 0; i < lines; i++) {
    if (again !== undefined) {
      yield again
      again = undefined
      continue
    }
    nowMs += random.waitMs(everyMs)
    latest = Math.max(latest, Math.floor(nowMs / 1000))
    const behind = random.next() < 0.2 ? random.integer(0, Math.floor(disorderMs / 1000)) : 0
    const seconds = latest - behind
    const style = random.pick([syslog, syslogOfUser, blueGene])
    const line = style(random, seconds, pickNode(random), random.pick(payloads)(random))
    if (random.next() < repeats) again = line
    yield line
  }
}
