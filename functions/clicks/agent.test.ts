import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AgentKind, agentKind } from './agent.ts'

test('agentKind tells browsers, crawlers, scripts and nothing apart', () => {
  const kinds: Record<AgentKind, readonly string[]> = {
    empty: [''],
    crawler: [
      'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
      'Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)',
      'Mozilla/5.0 (compatible; archive.org_bot +http://www.archive.org/details/archive.org_bot)',
      'UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/',
      'Tiny Tiny RSS/1.11 (http://tt-rss.org/)',
    ],
    scripted: [
      'curl/8.5.0',
      'Wget/1.21',
      'python-requests/2.32.3',
      'Go-http-client/2.0',
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36',
    ],
    browser: [
      'Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0.1700.107 Safari/537.36',
      'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)',
      'Mozilla/5.0 (Linux; U; Android 7.0; CUBOT_NOTE Build/NRD90M) Mobile Safari/534.30',
    ],
  }
  for (const [kind, agents] of Object.entries(kinds)) {
    for (const agent of agents) assert.equal(agentKind(agent), kind, agent)
  }
})
