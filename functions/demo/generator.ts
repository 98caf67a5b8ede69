/**
 * Generator: traffic with labelled fraud in it, as lines of a web server's log.
 *
 *   G1. The same seed gives the same lines and the same labels.
 *   G2. Lines are in the order of their times, as a server writes them.
 *   G3. A label never appears in a line: only the caller knows it.
 *   G4. Memory is bounded by the visitors that are present at one time, not by the number of lines.
 * @module
 */
import { Random } from './random.ts'
import { type Request, type VisitorKind, visitorKinds } from './visitors.ts'

export interface Traffic {
  readonly lines: Iterable<string>
  /** For each client in the lines read so far: whether it is a fraud. */
  readonly labels: ReadonlyMap<string, boolean>
}

interface Hit extends Request {
  readonly client: string
  readonly fraud: boolean
}

const arrivalEveryMs = 1_500
const opensAtMs = Date.UTC(2024, 5, 3, 8)

/** @param records How many lines. */
export function generateTraffic(seed: number, records: number): Traffic {
  const labels = new Map<string, boolean>()
  return { lines: writeLines(seed, records, labels), labels }
}

function* writeLines(seed: number, records: number, labels: Map<string, boolean>): Generator<string> {
  const random = new Random(seed)
  let written = 0
  for (const hit of hits(random)) {
    if (written++ === records) return
    labels.set(hit.client, hit.fraud)
    yield logLine(random, hit)
  }
}

/** All requests of all visitors, in the order of time, without end. */
function* hits(random: Random): Generator<Hit> {
  let waiting: Hit[] = []
  let nowMs = opensAtMs
  for (let visitor = 0; ; visitor++) {
    const { plan, fraud } = pickKind(random)
    const client = address(visitor)
    waiting.push(
      ...plan(random).map((request) => ({ ...request, atMs: nowMs + request.atMs, client, fraud })),
    )
    nowMs += random.waitMs(arrivalEveryMs)
    // Later visitors make later requests, so everything before the next arrival can be written now.
    yield* waiting.filter((hit) => hit.atMs < nowMs).sort((a, b) => a.atMs - b.atMs)
    waiting = waiting.filter((hit) => hit.atMs >= nowMs)
  }
}

const shares = visitorKinds.reduce((sum, kind) => sum + kind.share, 0)

function pickKind(random: Random): VisitorKind {
  let left = random.next() * shares
  for (const kind of visitorKinds) {
    left -= kind.share
    if (left < 0) return kind
  }
  return visitorKinds[0]! // reached only because of rounding
}

/** An address of its own for each visitor: an odd factor permutes the numbers below 2²⁴. */
function address(visitor: number): string {
  const host = Math.imul(visitor, 0x9e3779) & 0xffffff
  const network = 11 + (Math.floor(visitor / 2 ** 24) % 80)
  return `${network}.${host >>> 16}.${(host >>> 8) & 255}.${host & 255}`
}

function logLine(random: Random, hit: Hit): string {
  const { client, atMs, path, referrer, agent } = hit
  const bytes = random.integer(200, 40_000)
  return `${client} - - [${stamp(atMs)}] "GET ${path} HTTP/1.1" 200 ${bytes} "${referrer || '-'}" "${agent || '-'}"`
}

/** `03/Jun/2024:08:00:00 +0000`, out of `Mon, 03 Jun 2024 08:00:00 GMT`. */
function stamp(timeMs: number): string {
  const utc = new Date(timeMs).toUTCString()
  return `${utc.slice(5, 7)}/${utc.slice(8, 11)}/${utc.slice(12, 16)}:${utc.slice(17, 25)} +0000`
}
