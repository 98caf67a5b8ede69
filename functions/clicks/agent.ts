/**
 * Agent: what kind of program a User-Agent header claims to be. A header is a claim, not a proof: the model counts
 * it, but it never decides alone.
 * @module
 */

/** `browser` is everything that does not look like a program. */
export type AgentKind = 'browser' | 'crawler' | 'scripted' | 'empty'

/** Programs that openly say what they are: crawlers, feed readers, link checkers. */
const crawlers = /bot\b|crawl|spider|slurp|feed|rss|archiver|preview|monitor|checker|facebookexternalhit/i

/** HTTP libraries, command line clients and browsers without a screen. */
const scripted =
  /^(curl|wget|python|java|go-http|ruby|perl|php|libwww|lwp|okhttp|axios|node|undici|scrapy|httpie|apache-httpclient)|headless|phantomjs|selenium|puppeteer|playwright/i

export function agentKind(agent: string): AgentKind {
  if (agent === '') return 'empty'
  if (scripted.test(agent)) return 'scripted'
  return crawlers.test(agent) ? 'crawler' : 'browser'
}
