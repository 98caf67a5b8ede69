/**
 * alert: one summary for each client that did something fraudulent, instead of one message for each click.
 *
 * A client's first fraudulent click opens a window and sets its timer; the timer closes the window and sends what it
 * gathered. Clients that behave cost nothing: no state, no timer. Windows are of the platform's clock, since somebody
 * waits for the alert.
 * @module
 */
import { type Context, defineFunction, groupBy } from 'concord'
import type { Alert, Verdict } from './click.ts'

/** What is collected while a window is open: the alert without its end. */
type Window = Omit<Alert, 'toMs'>

/** Length of a window unless the manifest's `env` has ALERT_WINDOW_MS. */
const windowMsDefault = 10_000

export default defineFunction({
  metadata: { name: 'alert', istreams: { verdicts: groupBy }, ostreams: ['alerts'] },

  init(ctx) {
    windowMs(ctx) // an invalid value stops the deploy here, and not the first fraud an hour later
  },

  processRecord(ctx, record) {
    const verdict = record.json<Verdict>()
    const open = ctx.getJson<Window>(verdict.client)
    if (open === undefined && !verdict.fraud) return
    if (open === undefined) ctx.setTimer(verdict.client, ctx.nowMs() + windowMs(ctx))
    ctx.setJson(verdict.client, gather(open ?? emptyWindow(verdict.client, ctx.nowMs()), verdict))
  },

  processTimer(ctx, client, timeMs) {
    const open = ctx.getJson<Window>(client)
    if (open === undefined) return
    ctx.deleteState(client)
    const alert: Alert = { ...open, toMs: timeMs }
    ctx.produceRecord('alerts', client, JSON.stringify(alert))
  },
})

function windowMs(ctx: Pick<Context, 'env'>): number {
  const value = Number(ctx.env['ALERT_WINDOW_MS'] ?? windowMsDefault)
  if (!(value >= 1)) {
    throw new RangeError(
      `Cannot use ALERT_WINDOW_MS=${ctx.env['ALERT_WINDOW_MS']}: expected milliseconds, at least 1`,
    )
  }
  return value
}

function emptyWindow(client: string, fromMs: number): Window {
  return { client, fromMs, clicks: 0, flagged: 0, worstScore: 0, features: {} }
}

function gather(window: Window, verdict: Verdict): Window {
  if (!verdict.fraud) return { ...window, clicks: window.clicks + 1 }
  const features = { ...window.features }
  for (const reason of verdict.reasons) {
    const feature = reason.slice(0, reason.indexOf(':'))
    features[feature] = (features[feature] ?? 0) + 1
  }
  return {
    ...window,
    clicks: window.clicks + 1,
    flagged: window.flagged + 1,
    worstScore: Math.max(window.worstScore, verdict.score),
    features,
  }
}
