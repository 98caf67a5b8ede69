/**
 * The fraud model: transparent, additive, over what one client did so far. README.md explains it to its users.
 *
 *   M1. Time is the time of the clicks, never the clock: the same clicks give the same verdicts, live or replayed.
 *   M2. A profile is of fixed size, however much a client clicks.
 *   M3. Clicks a little out of order change nothing in the counters: a late one is added as old as it is.
 *
 * A score is the sum of what each feature contributes; a feature contributes its weight times how far its value stands
 * between `from`, where it is normal, and `to`, where it is as bad as it gets.
 * @module
 */
import { type AgentKind, agentKind } from './agent.ts'
import type { Click, Verdict } from './click.ts'

/** What is remembered of one client: counters that fade with time. */
export interface Profile {
  /** Requests so far. */
  readonly count: number
  /** The latest click so far: all counters are as of this time. */
  readonly timeMs: number
  /** Pages of about the last minute. */
  readonly rate: number
  /** Pages of about the last two seconds. */
  readonly burst: number
  /** Pages of about the last ten minutes, and those of them that no link led to. */
  readonly visits: number
  readonly direct: number
  /** The agent last seen, and changes of it in about the last ten minutes. */
  readonly agent: string
  readonly changes: number
}

/** A click with at least this score is called fraudulent. */
export const threshold = 0.6

/** The mean lifetimes of the decaying counters, in milliseconds. */
const lifeMs = { rate: 60_000, burst: 2_000, visits: 600_000 } as const

/**
 * For each feature: the value from which it counts, the value at which it counts in full, and what it then adds to
 * the score.
 */
const features = {
  rate: { from: 15, to: 60, weight: 0.45 },
  burst: { from: 4, to: 12, weight: 0.3 },
  referrer: { from: 0.6, to: 1, weight: 0.2 },
  changes: { from: 3, to: 10, weight: 0.4 },
} as const

/** Shares need a few visits before they mean something. */
const visitsNeeded = 5

const agentWeights: Record<AgentKind, number> = { browser: 0, crawler: 0.1, scripted: 0.35, empty: 0.35 }

/**
 * Files that a browser fetches by itself for a page. They are counted as requests, and say nothing about who is
 * clicking.
 */
const parts = /\.(?:css|js|map|png|jpe?g|gif|svg|ico|webp|woff2?|ttf|eot|mp4)(?:\?|$)/i

const unseen: Profile = {
  count: 0,
  timeMs: 0,
  rate: 0,
  burst: 0,
  visits: 0,
  direct: 0,
  agent: '',
  changes: 0,
}

/** @returns The profile with this click in it. */
export function observe(before: Profile | undefined, click: Click): Profile {
  const past = before ?? { ...unseen, timeMs: click.timeMs, agent: click.agent }
  const timeMs = Math.max(past.timeMs, click.timeMs)
  const page = parts.test(click.path) ? 0 : 1
  const fading = (value: number, added: number, meanLifeMs: number) =>
    value * Math.exp((past.timeMs - timeMs) / meanLifeMs) +
    added * Math.exp((click.timeMs - timeMs) / meanLifeMs)
  return {
    count: past.count + 1,
    timeMs,
    rate: fading(past.rate, page, lifeMs.rate),
    burst: fading(past.burst, page, lifeMs.burst),
    visits: fading(past.visits, page, lifeMs.visits),
    direct: fading(past.direct, click.referrer === '' ? page : 0, lifeMs.visits),
    agent: click.agent,
    changes: fading(past.changes, click.agent === past.agent ? 0 : 1, lifeMs.visits),
  }
}

/** The verdict on the client's latest click. */
export function judge(client: string, profile: Profile): Verdict {
  const reasons = weigh(profile).filter((reason) => reason.adds >= 0.005)
  const sum = reasons.reduce((total, reason) => total + reason.adds, 0)
  const score = Math.min(1, Math.round(sum * 1000) / 1000)
  return {
    client,
    count: profile.count,
    score,
    fraud: score >= threshold,
    reasons: reasons
      .sort((a, b) => b.adds - a.adds)
      .map((reason) => `${reason.text} (+${reason.adds.toFixed(2)})`),
  }
}

interface Reason {
  readonly adds: number
  readonly text: string
}

function weigh(profile: Profile): Reason[] {
  const kind = agentKind(profile.agent)
  const share = profile.visits < visitsNeeded ? 0 : profile.direct / profile.visits
  return [
    { adds: contribution('rate', profile.rate), text: `rate: ${Math.round(profile.rate)} pages in a minute` },
    {
      adds: contribution('burst', profile.burst),
      text: `burst: ${Math.round(profile.burst)} pages in two seconds`,
    },
    { adds: agentWeights[kind], text: `agent: ${kind}` },
    {
      adds: contribution('changes', profile.changes),
      text: `agents: ${Math.round(profile.changes)} changes in ten minutes`,
    },
    {
      adds: contribution('referrer', share),
      text: `referrer: none on ${Math.round(share * 100)} % of pages`,
    },
  ]
}

function contribution(feature: keyof typeof features, value: number): number {
  const { from, to, weight } = features[feature]
  return weight * Math.min(1, Math.max(0, (value - from) / (to - from)))
}
