/**
 * Explain: prints a verdict, each finding with the events of its records.
 * @module
 */
import type { Finding, Verdict } from './checker.ts'
import type { HistoryEvent } from './event.ts'

const eventsMax = 8

/**
 * The events that touch each finding's records, or who had its partition, by finding, each behind its number in the history (1 is the
 * first).
 */
export function eventsOf(
  findings: readonly Finding[],
  events: Iterable<HistoryEvent>,
): Map<Finding, string[]> {
  const found = new Map(findings.map((finding): [Finding, string[]] => [finding, []]))
  const byPlace = Map.groupBy(findings, ({ stream, partition }) => `${stream} ${partition}`)
  let number = 0
  for (const event of events) {
    number += 1
    for (const place of placesOf(event)) {
      for (const finding of byPlace.get(place) ?? []) {
        const lines = found.get(finding)!
        if (lines.length < eventsMax && concerns(event, finding))
          lines.push(`${number}: ${JSON.stringify(event)}`)
      }
    }
  }
  return found
}

function placesOf(event: HistoryEvent): string[] {
  if ('stream' in event) return [`${event.stream} ${event.partition}`]
  if (event.event !== 'claim' && event.event !== 'heard') return []
  return Object.entries(event.partitions).flatMap(([stream, list]) =>
    list.map((partition) => `${stream} ${partition}`),
  )
}

function concerns(event: HistoryEvent, finding: Finding): boolean {
  if ('consumer' in event && finding.consumer !== '' && event.consumer !== finding.consumer) return false
  if (event.event === 'claim' || event.event === 'heard' || event.event === 'left') return finding.count === 0
  if (!('producer' in event) || event.producer !== finding.producer) return false
  const end = finding.from + finding.count
  if (event.event === 'acknowledged') return finding.kind === 'loss' && event.through >= end
  return event.from < end && event.from + event.count > finding.from
}

export function verdictText(verdict: Verdict, events: Iterable<HistoryEvent>): string {
  const { sent, ...counts } = verdict.counts
  const account = Object.entries(counts)
    .filter(([, records]) => records > 0)
    .map(([name, records]) => `${records} ${name}`)
  const head = `${sent} records sent, ${account.join(', ') || 'nothing more'}; ${verdict.events} events`
  if (verdict.sound) return `sound: ${head}${verdict.ended ? '' : '; it has no end, so none can be stuck'}\n`
  const totals = Object.entries(verdict.records).map(([kind, records]) => `${kind} ${records}`)
  const behind = eventsOf(verdict.findings, events)
  const findings = verdict.findings.map((finding) =>
    [`${nameOf(finding)}: ${finding.why}`, ...behind.get(finding)!.map((line) => `    ${line}`)].join('\n'),
  )
  return `NOT sound, records by fault: ${totals.join(', ')}\n${head}\n\n${findings.join('\n')}\n`
}

function nameOf({ kind, stream, partition, producer, from, count, consumer }: Finding): string {
  const records = count === 1 ? ` #${from}` : count === 0 ? '' : ` #${from} to #${from + count - 1}`
  const channel = producer === '' ? `${stream}/${partition}` : `${stream}/${partition} ${producer}`
  return `${kind} ${channel}${records}${consumer === '' ? '' : ` at ${consumer}`}`
}
