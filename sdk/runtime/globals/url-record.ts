/**
 * UrlRecord: the parts of a URL, and how they are written (URL Standard, sections 4.1 and 4.5).
 * @see https://url.spec.whatwg.org/#url-representation
 * @module
 */

export interface UrlRecord {
  scheme: string
  username: string
  password: string
  host: string | null
  port: number | null
  /** A list of segments, or the opaque path. */
  path: string[] | string
  query: string | null
  fragment: string | null
}

/** The default port by scheme; null: it has none. */
export const specialPorts: Readonly<Record<string, number | null>> = {
  ftp: 21,
  file: null,
  http: 80,
  https: 443,
  ws: 80,
  wss: 443,
}

export function isSpecial({ scheme }: UrlRecord): boolean {
  return Object.hasOwn(specialPorts, scheme)
}

export function serializePath({ path }: UrlRecord): string {
  return typeof path === 'string' ? path : path.map((segment) => `/${segment}`).join('')
}

export function serialize(url: UrlRecord, fragment = true): string {
  let text = `${url.scheme}:`
  if (url.host !== null) {
    text += '//'
    if (url.username !== '' || url.password !== '') {
      text += url.username + (url.password === '' ? '' : `:${url.password}`)
      text += '@'
    }
    text += url.host + (url.port === null ? '' : `:${url.port}`)
  } else if (typeof url.path !== 'string' && url.path.length > 1 && url.path[0] === '') {
    text += '/.'
  }
  text += serializePath(url)
  if (url.query !== null) text += `?${url.query}`
  if (fragment && url.fragment !== null) text += `#${url.fragment}`
  return text
}
