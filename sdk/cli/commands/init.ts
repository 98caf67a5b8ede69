/**
 * concord init NAME: creates a function project with a test, ready to run.
 *
 *   IT1. Nothing is overwritten: the folder must be absent or empty.
 *   IT2. node_modules has links to this installation, to its Node types and, if it has one, to its TypeScript. So
 *        completion, tests and type checks work before anything is installed.
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { CodedError } from '../../errors.ts'
import { makeFolder } from '../../folder.ts'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { green, note, print, printJson } from '../terminal.ts'

/** The same pattern as in sdk/manifest/manifest.ts, which would load zod. A test keeps the two equal. */
export const namePattern = /^[a-z][a-z0-9-]{0,62}$/

/** The suffix of the template's files, so that npm, test runners and formatters ignore them. */
const suffix = '.tmpl'

export function addInit(program: CliCommand, installation: Installation): void {
  program
    .command('init')
    .description('Create a function project with a unit test, in a new folder.')
    .argument('<name>', "the folder; its last part becomes the function's name")
    .printsData()
    .example('concord init shout && cd shout && npm test')
    .action((path: string, options: CommonOptions) => init(installation, path, options))
}

async function init({ root }: Installation, path: string, { json }: CommonOptions): Promise<void> {
  const folder = resolve(path)
  const name = basename(folder)
  if (!namePattern.test(name)) {
    const text = `Cannot name a function '${name}': expected a lower-case letter, then letters, digits or dashes, at most 63 in all`
    throw new CodedError<CliErrorCode>('ERR_USAGE', text)
  }
  makeFolder(folder)
  if (readdirSync(folder).length > 0) {
    throw new CodedError<CliErrorCode>(
      'ERR_FILE_EXISTS',
      `Cannot make a project in ${folder}: it is not empty; choose another name`,
    )
  }
  const template = join(root, 'sdk', 'cli', 'template')
  const files = readdirSync(template).map((file) => file.replace(suffix, ''))
  for (const file of files) {
    const text = readFileSync(join(template, file + suffix), 'utf8')
    writeFileSync(join(folder, file), text.replaceAll('{{name}}', name).replaceAll('{{root}}', root))
  }
  linkInstallation(root, folder)
  if (json) return await printJson({ name, folder, files })
  await print(
    [`Created ${green(name)} in ${folder}:`, ...roles.map(([file, is]) => `  ${file.padEnd(14)} ${is}`)].join(
      '\n',
    ),
  )
  const inside = relative(process.cwd(), folder)
  const go = inside === '' ? '' : `cd ${quoted(inside.startsWith('..') ? folder : inside)} && `
  note(`Next: ${go}npm test && npm run deploy`)
}

/** The files that a new user reads first; the others configure npm and TypeScript. */
const roles = [
  ['index.ts', 'the function'],
  ['index.test.ts', 'its unit test'],
  ['concord.jsonc', 'its configuration'],
  ['README.md', 'what to do with it'],
] as const

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

function linkInstallation(root: string, folder: string): void {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  symlinkSync(root, join(modules, 'concord'), 'dir')
  mkdirSync(join(modules, '@types'))
  symlinkSync(packageOf(root, '@types/node')!, join(modules, '@types', 'node'), 'dir')
  symlinkSync(join('..', 'concord', 'sdk', 'cli', 'bin.mjs'), join(modules, '.bin', 'concord'))
  const typescript = packageOf(root, 'typescript')
  if (typescript === undefined) return // only the package is installed: `npm install` will add TypeScript
  symlinkSync(typescript, join(modules, 'typescript'), 'dir')
  symlinkSync(join('..', 'typescript', 'bin', 'tsc'), join(modules, '.bin', 'tsc'))
}

/** The folder of a package in this installation. */
function packageOf(root: string, name: string): string | undefined {
  try {
    return dirname(createRequire(join(root, 'package.json')).resolve(`${name}/package.json`))
  } catch {
    return undefined
  }
}
