/**
 * Writes docs/errors.md from the code: `node test/style/errors-doc.ts`. layout.test.ts keeps the two equal.
 *
 * A folder's `errors.ts` exports its codes as an object, code → who can fix it; the comment at a code says what it
 * means. Exit codes likewise: of a runner in infra/control/messages/exit-codes.ts, of the CLI in sdk/cli/errors.ts.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exitCodes } from '../../infra/control/messages/exit-codes.ts'
import { exitCodeMeanings } from '../../sdk/cli/errors.ts'
import { listFiles, readSource, root } from './sources.ts'

export interface ErrorEntry {
  readonly code: string
  readonly blame: string
  readonly meaning: string
}

const blames: Readonly<Record<string, string>> = {
  function: "the function's author",
  caller: 'the caller',
  transient: 'time: try again',
  platform: 'the platform: a bug, or its installation',
}

/** Folders in the order in which somebody meets their errors, and where that is. A folder that is not named comes last. */
const places: Readonly<Record<string, string>> = {
  'sdk/cli': 'at the command line',
  'sdk/client': 'between a client and the gateway',
  gateway: "the HTTP API's answers",
  'sdk/runtime': 'thrown into a callback',
  'sdk/runtime/arena': 'thrown into a callback that keeps state',
  'runner/isolate': 'an instance that ends',
  'infra/config': 'settings of a process',
  infra: 'what the platform stands on: store, NATS, JetStream, ZooKeeper',
  'infra/bus': 'channels, and the connection to NATS',
  scheduler: 'a scheduler that stops',
  runner: 'a runner that refuses',
  'infra/minimesos': 'the Mesos of one machine',
  sdk: 'frames and records',
}

/** The codes of every folder, by folder. */
export function readErrorCodes(): ReadonlyMap<string, readonly ErrorEntry[]> {
  const folders = listFiles('**/errors.ts').map(
    (path) => [dirname(path), parseEntries(readSource(path))] as const,
  )
  return new Map(folders.filter(([, entries]) => entries.length > 0))
}

/** The same in the order of `places`, with headings. */
function chapters(): readonly (readonly [string, readonly ErrorEntry[]])[] {
  const codes = readErrorCodes()
  const named = Object.keys(places).filter((folder) => codes.has(folder))
  const others = [...codes.keys()].filter((folder) => !(folder in places))
  return [...named, ...others].map((folder) => [
    folder in places ? `${folder}: ${places[folder]}` : folder,
    codes.get(folder)!,
  ])
}

/** Reads `ERR_X: 'blame', // meaning` and the same with the comment above it. */
function parseEntries(source: string): readonly ErrorEntry[] {
  const entry =
    /(?:^ *(?:\/\*\*|\/\/) *(.+?) *(?:\*\/)?\n)?^ *(ERR_[A-Z0-9_]+): '(\w+)',?(?: *\/\/ *(.+?))?$/gm
  return [...source.matchAll(entry)]
    .filter(([, , , blame]) => blame! in blames)
    .map(([, above, code, blame, behind]) => ({
      code: code!,
      blame: blame!,
      meaning: sentence(behind ?? above ?? words(code!)),
    }))
}

/** A name that says it all needs no comment: ERR_NO_DEFAULT_EXPORT. */
function words(code: string): string {
  return code.replace('ERR_', '').replaceAll('_', ' ').toLowerCase()
}

/** A name that it begins with stays as it is spelled: nats-server, groupBy, concord.jsonc. */
function sentence(text: string): string {
  const first = /^[a-z]+[-.A-Z]\w/.test(text) ? text[0]! : text[0]!.toUpperCase()
  return `${first}${text.slice(1).replace(/\.$/, '')}.`.replaceAll('|', '\\|')
}

/** The comment above a name in `exitCodes`. */
function exitMeaning(source: string, name: string): string {
  const comment = new RegExp(`/\\*\\* (.+?) \\*/\\n +${name}: \\d+`).exec(source)?.[1]
  return sentence(comment ?? name)
}

/** The whole of docs/errors.md. */
export function errorsDocument(): string {
  const messages = readSource('infra/control/messages/exit-codes.ts')
  const folders = chapters().flatMap(([heading, entries]) => [
    `## ${heading}`,
    table(
      ['code', 'who can fix it', 'meaning'],
      entries.map(({ code, blame, meaning }) => [`\`${code}\``, blames[blame]!, meaning]),
    ),
  ])
  return `${[
    '# Errors',
    'Every error that you can act on has a code from a closed set, and a message that says what was attempted, what was found and what to do. Match on the code; the text may change. The HTTP API returns the code in `code` of a problem document (RFC 9457).',
    'Generated from the code by `node test/style/errors-doc.ts`; change it there.',
    '## Exit codes of `concord`',
    table(
      ['exit code', 'meaning'],
      Object.entries(exitCodeMeanings).map(([code, meaning]) => [code, sentence(meaning)]),
    ),
    ...folders,
    '## Exit codes of a runner',
    'The scheduler reads them from the status of the task; `concord fn inspect` shows the reason. 128 + n: ended by signal n.',
    table(
      ['exit code', 'reason', 'meaning'],
      Object.entries(exitCodes).map(([name, code]) => [
        `${code}`,
        `\`${name}\``,
        exitMeaning(messages, name),
      ]),
    ),
  ].join('\n\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

if (import.meta.main) writeFileSync(join(root, 'docs', 'errors.md'), errorsDocument())
