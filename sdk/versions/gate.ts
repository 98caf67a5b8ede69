/**
 * Gate: the findings about a new version that processes the records of the tape beside the live version, before it
 * gets a live record; and the verdict of its rules. Pure.
 *
 *   GA1. Both versions get the same records, from the same state, with the same clock and random numbers. In the
 *        findings, `live` is the live version and `shadow` the new one, as in all reports (shadow.ts).
 *   GA2. What could not be judged does not pass: a version that ended early, or that could not be judged, has a
 *        breach that says so.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import * as z from 'zod'
import type { GateRules } from '../manifest/manifest.ts'
import { matchRate, noShadowEvidence, percentText, sumOfShadows } from './shadow.ts'
import { shadowEvidenceSchema } from './shadow-schema.ts'

const pairSchema = z.object({ live: z.number(), shadow: z.number() })

/** An error that the new version throws, and for how many records. */
const gateErrorSchema = z.object({
  name: z.string(),
  message: z.string(),
  /** The line in the author's source, as in `score.ts:41:9`. */
  at: z.string().optional(),
  records: z.int(),
})
export type GateError = z.output<typeof gateErrorSchema>

const gateEvidenceSchema = z.object({
  /**
   * `records` are those of the tape after the state from which both began; `missed.behind` those for which the time
   * ran out.
   */
  found: shadowEvidenceSchema,
  /** When the first and the last of them was processed live; absent: there were none. */
  sinceMs: z.number().optional(),
  untilMs: z.number().optional(),
  state: z.object({
    bytes: z.int(),
    /** Partitions that began with the state of a checkpoint, and those that began without although they have some. */
    restored: z.int(),
    lacking: z.int(),
    /** When the oldest of those checkpoints was made; absent: none was needed. */
    atMs: z.number().optional(),
    /** Records between such a checkpoint and the tape, which neither version saw. */
    between: z.int(),
  }),
  /** At the end of the judgement. */
  heapBytes: pairSchema,
  stateBytes: pairSchema,
  /** How many times longer the new version took for a record, as the median of the calls; absent: too few calls. */
  slowdown: z.number().optional(),
  errors: z.array(gateErrorSchema),
  /** Why the new version ended early. */
  ended: z.string().optional(),
  /** Why the version could not be judged, or not completely, through no fault of its own. */
  failed: z.string().optional(),
})
export type GateEvidence = z.output<typeof gateEvidenceSchema>

export const gateReportSchema = z.object({
  name: z.string(),
  /** The live version. */
  from: z.int(),
  tookMs: z.number(),
  /** Instances that have judged it, and how many there are. */
  instances: z.int(),
  instancesOf: z.int(),
  evidence: gateEvidenceSchema,
  /** Breaches of its rules; absent: it has no rules. */
  breaches: z.array(z.string()).optional(),
})
export type GateReport = z.output<typeof gateReportSchema>

export const gateErrorsMax = 5

export function noGateEvidence(): GateEvidence {
  return {
    found: noShadowEvidence(),
    state: { bytes: 0, restored: 0, lacking: 0, between: 0 },
    heapBytes: { live: 0, shadow: 0 },
    stateBytes: { live: 0, shadow: 0 },
    errors: [],
  }
}

/** The findings of several instances together. Of heaps and slowdowns, the largest. */
export function sumOfGates(all: readonly GateEvidence[]): GateEvidence {
  return all.reduce((sum, one) => {
    const { state: a } = sum
    const { state: b } = one
    return {
      found: sumOfShadows([sum.found, one.found]),
      ...least('sinceMs', sum.sinceMs, one.sinceMs),
      ...most('untilMs', sum.untilMs, one.untilMs),
      state: {
        bytes: a.bytes + b.bytes,
        restored: a.restored + b.restored,
        lacking: a.lacking + b.lacking,
        between: a.between + b.between,
        ...least('atMs', a.atMs, b.atMs),
      },
      heapBytes: pairOf(sum.heapBytes, one.heapBytes, Math.max),
      stateBytes: pairOf(sum.stateBytes, one.stateBytes, (x, y) => x + y),
      ...most('slowdown', sum.slowdown, one.slowdown),
      errors: sumOfErrors([...sum.errors, ...one.errors]),
      ...firstOf('ended', sum.ended, one.ended),
      ...firstOf('failed', sum.failed, one.failed),
    }
  }, noGateEvidence())
}

/** Equal errors at the same place count as one; those with the most records come first. */
export function sumOfErrors(errors: readonly GateError[]): GateError[] {
  const known = new Map<string, GateError>()
  for (const error of errors) {
    const key = `${error.name}\n${error.at ?? error.message}`
    const before = known.get(key)
    known.set(key, before === undefined ? error : { ...before, records: before.records + error.records })
  }
  return [...known.values()].sort((a, b) => b.records - a.records).slice(0, gateErrorsMax)
}

/** The breaches of the rules, each with both figures; none: it may pass. */
export function breachesOf(
  { maxDiff, maxErrors, maxSlowdown, minRecords }: GateRules,
  { found, slowdown, ended, failed }: GateEvidence,
): string[] {
  const { compared, different, failed: threw } = found
  const share = 1 - matchRate(found)
  return [
    ...(failed === undefined ? [] : [`it could not be tested: ${failed}`]),
    ...(ended === undefined ? [] : [`it ended: ${ended}`]),
    ...(compared < minRecords
      ? [`only ${compared} records were compared (gate.minRecords ${minRecords})`]
      : []),
    ...(share > maxDiff
      ? [
          `its outputs differ for ${different} of ${compared} records, ${percentText(share)} (gate.maxDiff ${percentText(maxDiff)})`,
        ]
      : []),
    ...(threw.shadow > maxErrors
      ? [
          `it throws at ${threw.shadow} records at which the live version does not (gate.maxErrors ${maxErrors})`,
        ]
      : []),
    ...(slowdown !== undefined && slowdown > maxSlowdown
      ? [`it takes ${slowdown.toFixed(2)} × as long per record (gate.maxSlowdown ${maxSlowdown})`]
      : []),
  ]
}

type Named<Name extends string, T> = { readonly [Key in Name]?: T }

function firstOf<Name extends string>(name: Name, ...values: (string | undefined)[]): Named<Name, string> {
  const value = values.find((one) => one !== undefined)
  return (value === undefined ? {} : { [name]: value }) as Named<Name, string>
}

function least<Name extends string>(name: Name, ...values: (number | undefined)[]): Named<Name, number> {
  return extreme(name, values, Math.min)
}

function most<Name extends string>(name: Name, ...values: (number | undefined)[]): Named<Name, number> {
  return extreme(name, values, Math.max)
}

function extreme<Name extends string>(
  name: Name,
  values: readonly (number | undefined)[],
  of: (...values: number[]) => number,
): Named<Name, number> {
  const known = values.filter((one) => one !== undefined)
  return (known.length === 0 ? {} : { [name]: of(...known) }) as Named<Name, number>
}

function pairOf(
  a: { live: number; shadow: number },
  b: { live: number; shadow: number },
  of: (x: number, y: number) => number,
): { live: number; shadow: number } {
  return { live: of(a.live, b.live), shadow: of(a.shadow, b.shadow) }
}
