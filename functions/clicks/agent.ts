/**
 * What kind of program a User-Agent header says it is. A header is a claim, not a proof: the model gives it weight,
 * never the last word.
 * @module
 */

/** `browser` is what is left when nothing speaks against it. */
export type AgentKind = 'browser' | 'crawler' | 'scripted' | 'empty'

/** Programs that say openly that nobody is looking: crawlers, feed readers, link checkers. */
const crawlers = /bot\b|crawl|spider|slurp|feed|rss|archiver|preview|monitor|checker|facebookexternalhit/i

/** HTTP libraries, command line clients and browsers without a screen. */
const scripted =
  /^(curl|wget|python|java|go-http|ruby|perl|php|libwww|lwp|okhttp|axios|node|undici|scrapy|httpie|apache-httpclient)|headless|phantomjs|selenium|puppeteer|playwright/i

export function agentKind(agent: string): AgentKind {
  if (agent === '') return 'empty'
  if (scripted.test(agent)) return 'scripted'
  return crawlers.test(agent) ? 'crawler' : 'browser'
}
