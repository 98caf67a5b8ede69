/**
 * UrlHost: parses hosts by the URL Standard, section 3: domains, IPv4 and IPv6 addresses, opaque hosts.
 *
 * One simplification: names beyond ASCII are normalized with NFKC and lower case before they are written in Punycode;
 * the standard uses UTS #46 with its tables. The results agree for names in use.
 * @see https://url.spec.whatwg.org/#host-parsing
 * @module
 */
import { encodeSets, percentDecode, percentEncode } from './url-percent.ts'

const forbiddenHost = /[\0\t\n\r #/:<>?@[\\\]^|]/
const forbiddenDomain = /[\0-\x20"#%/:<>?@[\\\]^`{|}\x7f]/

/** @returns The host as it is written in a URL; undefined if it is invalid. */
export function parseHost(input: string, special: boolean): string | undefined {
  if (input.startsWith('[')) {
    if (!input.endsWith(']')) return undefined
    const pieces = parseIpv6(input.slice(1, -1))
    return pieces && `[${serializeIpv6(pieces)}]`
  }
  if (!special) return forbiddenHost.test(input) ? undefined : percentEncode(input, encodeSets.control)
  const domain = toAscii(percentDecode(input))
  if (domain === undefined || domain === '' || forbiddenDomain.test(domain)) return undefined
  return endsInNumber(domain) ? parseIpv4(domain) : domain
}

function toAscii(domain: string): string | undefined {
  if (/^[\0-\x7f]*$/.test(domain)) return domain.toLowerCase()
  // Ignored: soft hyphen, zero-width space, word joiner, byte order mark, variation selectors.
  const folded = domain
    .replace(/[\u00ad\u200b\u2060\ufeff]|[\ufe00-\ufe0f]/g, '')
    .normalize('NFKC')
    .toLowerCase()
    .normalize('NFC')
    .replaceAll('。', '.')
  const labels = folded.split('.').map(labelToAscii)
  return labels.includes(undefined) ? undefined : labels.join('.')
}

function labelToAscii(label: string): string | undefined {
  if (/^[\0-\x7f]*$/.test(label)) return label
  if (label.includes('\ufffd') || /^\p{M}/u.test(label)) return undefined
  return `xn--${punycode(label)}`
}

/** RFC 3492. */
function punycode(label: string): string {
  const points = Array.from(label, (character) => character.codePointAt(0)!)
  let output = String.fromCodePoint(...points.filter((point) => point < 0x80))
  let handled = output.length
  const basic = handled
  if (basic > 0) output += '-'
  let n = 0x80
  let delta = 0
  let bias = 72
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= n))
    delta += (next - n) * (handled + 1)
    n = next
    for (const point of points) {
      if (point < n) delta++
      if (point !== n) continue
      output += variableLength(delta, bias)
      bias = adapt(delta, handled + 1, handled === basic)
      delta = 0
      handled++
    }
    delta++
    n++
  }
  return output
}

function variableLength(delta: number, bias: number): string {
  let digits = ''
  let q = delta
  for (let k = 36; ; k += 36) {
    const t = Math.min(26, Math.max(1, k - bias))
    if (q < t) return digits + digit(q)
    digits += digit(t + ((q - t) % (36 - t)))
    q = Math.floor((q - t) / (36 - t))
  }
}

function digit(value: number): string {
  return String.fromCharCode(value < 26 ? value + 97 : value + 22)
}

function adapt(delta: number, points: number, first: boolean): number {
  let left = Math.floor(delta / (first ? 700 : 2))
  left += Math.floor(left / points)
  let k = 0
  for (; left > 455; k += 36) left = Math.floor(left / 35)
  return k + Math.floor((36 * left) / (left + 38))
}

function endsInNumber(domain: string): boolean {
  const parts = domain.split('.')
  if (parts.at(-1) === '') {
    if (parts.length === 1) return false
    parts.pop()
  }
  const last = parts.at(-1)!
  return /^\d+$/.test(last) || /^0x[0-9a-f]*$/i.test(last)
}

function parseIpv4(domain: string): string | undefined {
  const parts = domain.split('.')
  if (parts.at(-1) === '' && parts.length > 1) parts.pop()
  if (parts.length > 4) return undefined
  const numbers = parts.map(ipv4Number)
  let address = 0
  for (const [i, number] of numbers.entries()) {
    const last = i === numbers.length - 1
    if (number === undefined || number >= (last ? 256 ** (5 - numbers.length) : 256)) return undefined
    address += last ? number : number * 256 ** (3 - i)
  }
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}

function ipv4Number(part: string): number | undefined {
  if (/^0x[0-9a-f]*$/i.test(part)) return part.length === 2 ? 0 : Number.parseInt(part, 16)
  if (/^0[0-7]*$/.test(part)) return part === '0' ? 0 : Number.parseInt(part, 8)
  return /^[1-9]\d*$/.test(part) ? Number.parseInt(part, 10) : undefined
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => ipv6Pieces(half))
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  // An IPv4 address is allowed only at the very end.
  if (halves.length === 2 && halves[0]!.includes('.')) return undefined
  if (halves.length === 1) return head.length === 8 ? head : undefined
  const gap = 8 - head.length - tail!.length
  return gap < 1 ? undefined : [...head, ...new Array<number>(gap).fill(0), ...tail!]
}

function ipv6Pieces(half: string): number[] | undefined {
  if (half === '') return []
  const pieces: number[] = []
  const parts = half.split(':')
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      pieces.push(Number.parseInt(part, 16))
      continue
    }
    const ipv4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/.exec(part)
    if (ipv4 === null || i !== parts.length - 1) return undefined
    const [a, b, c, d] = ipv4.slice(1).map(Number) as [number, number, number, number]
    if (Math.max(a, b, c, d) > 255) return undefined
    pieces.push(a * 256 + b, c * 256 + d)
  }
  return pieces
}

function serializeIpv6(pieces: readonly number[]): string {
  const gap = longestZeros(pieces)
  const hex = (from: number, to: number): string =>
    pieces
      .slice(from, to)
      .map((piece) => piece.toString(16))
      .join(':')
  return gap === undefined ? hex(0, 8) : `${hex(0, gap.from)}::${hex(gap.to, 8)}`
}

/** The first of the longest runs of two or more zeros. */
function longestZeros(pieces: readonly number[]): { from: number; to: number } | undefined {
  let longest: { from: number; to: number } | undefined
  for (let from = 0; from < 8; from++) {
    let to = from
    while (to < 8 && pieces[to] === 0) to++
    if (to - from > Math.max(1, longest === undefined ? 0 : longest.to - longest.from)) longest = { from, to }
    if (to > from) from = to
  }
  return longest
}
