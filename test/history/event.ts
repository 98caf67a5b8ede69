/**
 * Event: the events of a history, one JSON line each. The fields are explained in docs/design/0010-histories.md.
 * @module
 */

export const historyVersion = 2

/** The layer in which each record must show. */
export type Layer = 'output' | 'processed'

export interface Header {
  readonly history: typeof historyVersion
  readonly complete: Layer
  /** So many records of a consumer may be both put out and given up; 0 if absent. */
  readonly overcount?: number
}

/** Records of one producer in one partition. */
export interface Range {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly from: number
  readonly count: number
}

export interface Actor {
  readonly consumer: string
  readonly owner: string
  readonly epoch: number
}

export interface Effect extends Range, Actor {
  readonly event: 'accepted' | 'processed' | 'output' | 'fired'
  readonly ticks?: readonly [first: number, last: number]
  /** Whose counter that is, if an owner has several. */
  readonly isolate?: string
  readonly after?: number
  /** Of an output: each of the records has set a timer. */
  readonly timer?: true
}

/** `claim`: an owner begins. `heard`: that was heard where outputs are seen. */
export interface Claim extends Actor {
  readonly event: 'claim' | 'heard'
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

export type HistoryEvent =
  | ({ readonly event: 'sent' } & Range)
  | Effect
  | ({ readonly event: 'dropped'; readonly consumer: string; readonly reason: string } & Range)
  | ({ readonly event: 'unaccounted'; readonly consumer: string } & Range)
  | ({ readonly event: 'acknowledged'; readonly consumer: string; readonly through: number } & Omit<
      Range,
      'from' | 'count'
    >)
  | Claim
  | ({
      readonly event: 'left'
      readonly stream: string
      readonly partition: number
      readonly through: Readonly<Record<string, number>>
      /** The owner to which it was left. */
      readonly next?: string
    } & Actor)
  | { readonly event: 'crash'; readonly consumer: string; readonly owner: string }
  | { readonly event: 'note'; readonly text: string }
  | { readonly event: 'end' }

type FieldKind = 'text' | 'count' | 'object'

const channel = { stream: 'text', partition: 'count', producer: 'text' } as const
const range = { ...channel, from: 'count', count: 'count' } as const
const claim = { consumer: 'text', owner: 'text', epoch: 'count', partitions: 'object' } as const
const effect = { ...range, consumer: 'text', owner: 'text', epoch: 'count' } as const

const fields: Readonly<Record<HistoryEvent['event'], Readonly<Record<string, FieldKind>>>> = {
  sent: range,
  accepted: effect,
  processed: effect,
  output: effect,
  fired: effect,
  dropped: { ...range, consumer: 'text', reason: 'text' },
  unaccounted: { ...range, consumer: 'text' },
  acknowledged: { ...channel, consumer: 'text', through: 'count' },
  claim,
  heard: claim,
  left: {
    stream: 'text',
    partition: 'count',
    consumer: 'text',
    owner: 'text',
    epoch: 'count',
    through: 'object',
  },
  crash: { consumer: 'text', owner: 'text' },
  note: { text: 'text' },
  end: {},
}
const needed = new Map(Object.entries(fields).map(([event, kinds]) => [event, Object.entries(kinds)]))

/** What cannot be read as a history, and why. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError'
}

/** @throws {HistoryError} */
export function parseHeader(line: string): Header {
  const header = parseJson(line) as Partial<Header> | null
  if (header?.history !== historyVersion) {
    throw new HistoryError(
      `expected a header {"history":${historyVersion},"complete":"output"}, found ${line.slice(0, 80)}`,
    )
  }
  if (header.complete !== 'output' && header.complete !== 'processed') {
    throw new HistoryError(
      `expected "complete" to be "output" or "processed", found ${JSON.stringify(header.complete)}`,
    )
  }
  if (header.overcount !== undefined && !is('count', header.overcount))
    throw new HistoryError(`expected "overcount" to be a count, found ${JSON.stringify(header.overcount)}`)
  return header as Header
}

/** @throws {HistoryError} */
export function parseEvent(line: string): HistoryEvent {
  const event = parseJson(line) as Record<string, unknown> | null
  const kinds = needed.get(String(event?.['event']))
  if (event === null || kinds === undefined)
    throw new HistoryError(
      `expected an event, one of ${[...needed.keys()].join(', ')}; found ${line.slice(0, 80)}`,
    )
  for (const [field, kind] of kinds) {
    if (!is(kind, event[field]))
      throw new HistoryError(
        `'${event['event']}' needs a ${kind} '${field}', found ${JSON.stringify(event[field])}`,
      )
  }
  return event as unknown as HistoryEvent
}

function is(kind: FieldKind, value: unknown): boolean {
  if (kind === 'text') return typeof value === 'string'
  if (kind === 'count') return Number.isSafeInteger(value) && (value as number) >= 0
  return typeof value === 'object' && value !== null
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    throw new HistoryError(`expected a line of JSON, found ${line.slice(0, 80)}`)
  }
}
