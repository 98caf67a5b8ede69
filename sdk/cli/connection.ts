/**
 * Connection: which gateway a command talks to, and with which token. Options win over the environment, and the
 * environment over what `concord up` wrote into its state folder.
 *
 *   N1. A URL given by hand is never sent the token that client.json has for another server.
 * @module
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConcordClient } from '../client/index.ts'
import { CodedError } from '../errors.ts'
import type { ServerOptions } from './command.ts'
import type { CliErrorCode } from './errors.ts'

const { env } = process

/** The state folder of the platform. */
export function homeFolder(options: { readonly home?: string }): string {
  return resolve(options.home ?? (env['CONCORD_HOME'] || join(homedir(), '.concord')))
}

export function connect(options: ServerOptions): ConcordClient {
  const home = homeFolder(options)
  const written = readClientFile(home)
  const url = options.url ?? (env['CONCORD_URL'] || written?.url)
  if (url === undefined) {
    const text = `No server is known in ${home}: start one with 'concord up', or say where it is with --url or CONCORD_URL`
    throw new CodedError<CliErrorCode>('ERR_SERVER_UNKNOWN', text)
  }
  const urls = url.split(',').map((one) => one.trim())
  for (const one of urls) {
    if (URL.canParse(one) && /^https?:/.test(one)) continue
    const text = `Cannot use the server '${one}': expected a URL like http://127.0.0.1:8642, or several separated by commas`
    throw new CodedError<CliErrorCode>('ERR_USAGE', text)
  }
  const token = givenToken(options) ?? (url === written?.url ? written.token : undefined) // N1
  return new ConcordClient({ url: urls, token })
}

function givenToken({ token, tokenFile }: ServerOptions): string | undefined {
  return token ?? (tokenFile === undefined ? env['CONCORD_TOKEN'] || undefined : readToken(tokenFile))
}

function readToken(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new CodedError<CliErrorCode>('ERR_FILE_MISSING', `Cannot read the token file ${path}`, { cause })
  }
}

/** What `concord up` wrote; undefined if there is nothing, or it is damaged. */
function readClientFile(home: string): { url: string; token: string } | undefined {
  try {
    const { url, token } = JSON.parse(readFileSync(join(home, 'client.json'), 'utf8'))
    return typeof url === 'string' && typeof token === 'string' ? { url, token } : undefined
  } catch {
    return undefined
  }
}
