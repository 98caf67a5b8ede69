/**
 * Who visits the site of the demo: people, programs that say what they are, and several kinds of fraud. Each visitor is
 * a plan of requests, made whole when the visitor arrives.
 *
 * Not every kind of fraud can be told from its rate, bursts, agent and referrers, and not every fast client is a fraud:
 * `patient` is made to be missed and `partner` to be suspected wrongly, so that precision and recall say something.
 * @module
 */
import type { Random } from './random.ts'

export interface Request {
  /** After the visitor's arrival. */
  readonly atMs: number
  readonly path: string
  readonly referrer: string
  readonly agent: string
}

export interface VisitorKind {
  readonly name: string
  readonly fraud: boolean
  /** How many of a thousand visitors are of this kind. */
  readonly share: number
  readonly plan: (random: Random) => Request[]
}

const site = 'https://news.example'
const browsers = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  'Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; rv:126.0) Gecko/20100101 Firefox/126.0',
  'Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Safari/604.1',
] as const
const crawlers = [
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
] as const
const scripts = ['python-requests/2.32.3', 'curl/8.5.0', 'Go-http-client/2.0', 'okhttp/4.12.0'] as const
const arrivals = [
  '',
  '',
  'https://www.google.com/',
  'https://t.co/x7Kd',
  'https://search.example/?q=news',
] as const
const pageParts = [
  '/static/site.css',
  '/static/site.js',
  '/static/logo.svg',
  '/img/lead.jpg',
  '/img/side.webp',
] as const

const article = (random: Random) => `/articles/${random.integer(1, 400)}`
const advert = (random: Random) => `/click?ad=${random.integer(1, 60)}&slot=${random.integer(1, 4)}`

/** A person reads a few articles, each with its parts, and sometimes clicks on an advert. */
function person(random: Random): Request[] {
  const agent = random.pick(browsers)
  const requests: Request[] = []
  let atMs = 0
  let referrer: string = random.pick(arrivals)
  for (let pages = random.integer(1, 8); pages > 0; pages--) {
    const path = random.next() < 0.06 ? advert(random) : article(random)
    requests.push({ atMs, path, referrer, agent })
    referrer = site + path
    for (const part of pageParts.slice(random.integer(0, 4))) {
      requests.push({ atMs: atMs + random.between(50, 900), path: part, referrer, agent })
    }
    atMs += 3_000 + random.waitMs(25_000)
  }
  return requests
}

/** Many people behind one address. */
function office(random: Random): Request[] {
  const people = Array.from({ length: random.integer(4, 10) }, () => {
    const arrivedMs = random.between(0, 600_000)
    return person(random).map((request) => ({ ...request, atMs: request.atMs + arrivedMs }))
  })
  return people.flat()
}

/** What all programs have in common: `count` requests with pauses between them, and how each request looks. */
function program(
  count: number,
  pauseMs: (index: number) => number,
  look: (index: number) => Omit<Request, 'atMs'>,
): Request[] {
  let atMs = 0
  return Array.from({ length: count }, (_, index) => {
    if (index > 0) atMs += pauseMs(index)
    return { atMs, ...look(index) }
  })
}

function crawler(random: Random): Request[] {
  const agent = random.pick(crawlers)
  const look = () => ({ path: article(random), referrer: '', agent })
  return program(random.integer(20, 80), () => random.between(3_000, 9_000), look)
}

function monitor(random: Random): Request[] {
  return program(
    random.integer(20, 40),
    () => 30_000,
    () => ({ path: '/health', referrer: '', agent: 'curl/8.5.0' }),
  )
}

/** A partner that copies the articles, by agreement: honest, and it looks exactly like a fraud. */
function partner(random: Random): Request[] {
  const look = () => ({ path: article(random), referrer: '', agent: 'Go-http-client/2.0' })
  return program(random.integer(60, 120), () => random.between(400, 1_200), look)
}

/** A script that clicks adverts as fast as it can and does not even hide. */
function hammer(random: Random): Request[] {
  const agent = random.pick(scripts)
  const look = () => ({ path: advert(random), referrer: '', agent })
  return program(random.integer(60, 160), () => random.waitMs(250), look)
}

/** A browser without a person: a good agent, a made-up referrer on half its clicks, no rest. */
function puppet(random: Random): Request[] {
  const agent = random.pick(browsers)
  const look = () => ({ path: advert(random), referrer: random.next() < 0.2 ? `${site}/` : '', agent })
  return program(random.integer(70, 150), () => random.between(200, 700), look)
}

/** One machine that claims to be another with each click. */
function masquerade(random: Random): Request[] {
  const look = () => ({ path: advert(random), referrer: '', agent: random.pick(browsers) })
  return program(random.integer(40, 90), () => random.between(500, 2_500), look)
}

/** No agent at all, in bursts. */
function volley(random: Random): Request[] {
  const look = () => ({ path: advert(random), referrer: '', agent: '' })
  return program(
    random.integer(40, 90),
    (index) => (index % 10 === 0 ? 30_000 : random.between(50, 250)),
    look,
  )
}

/** A person, or something that acts like one, paid to click: the model cannot see it. */
function patient(random: Random): Request[] {
  const agent = random.pick(browsers)
  const look = () => ({ path: advert(random), referrer: site + article(random), agent })
  return program(random.integer(15, 30), () => 8_000 + random.waitMs(20_000), look)
}

export const visitorKinds: readonly VisitorKind[] = [
  { name: 'person', fraud: false, share: 954, plan: person },
  { name: 'office', fraud: false, share: 8, plan: office },
  { name: 'crawler', fraud: false, share: 6, plan: crawler },
  { name: 'monitor', fraud: false, share: 4, plan: monitor },
  { name: 'partner', fraud: false, share: 1, plan: partner },
  { name: 'hammer', fraud: true, share: 8, plan: hammer },
  { name: 'puppet', fraud: true, share: 7, plan: puppet },
  { name: 'masquerade', fraud: true, share: 5, plan: masquerade },
  { name: 'volley', fraud: true, share: 5, plan: volley },
  { name: 'patient', fraud: true, share: 2, plan: patient },
]
