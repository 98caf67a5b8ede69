/**
 * The tree, held to its own rules: the table of folders, sizes, READMEs, errors, tests that all run, clean lockfiles.
 * Each test lists every offender, so that one run shows all.
 * @module
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import packageJson from '../package.json' with { type: 'json' }
import { errorsDocument, readErrorCodes } from './style/errors-doc.ts'
import { arrows, judgeImport, readImports } from './style/imports.ts'
import { allLabelOffences } from './style/labels.ts'
import { allLayerOffences } from './style/layers.ts'
import { listFiles, readSource, root } from './style/sources.ts'

const linesMax = 500
/** Files that may be longer, each with its reason. */
const longFiles: Readonly<Record<string, string>> = {}

const sources = listFiles('**/*.ts')
const ours = sources.filter((path) => path.split('/')[0]! in arrows)
const lines = (path: string): readonly string[] => readSource(path).split('\n')

test('imports: only arrows of the table, through doors, with prefixes and extensions', () => {
  const packages = Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies })
  const offences = ours.flatMap((file) =>
    readImports(readSource(file)).flatMap(({ specifier }) => {
      const offence = judgeImport(file, specifier, packages)
      return offence === undefined ? [] : [`${file}: '${specifier}': ${offence}`]
    }),
  )
  assert.deepEqual(offences, [])
  assert.ok(ours.length > 10, 'the tree was found')
})

test('imports: every source lies in a folder of the table', () => {
  assert.deepEqual(
    sources.filter((path) => !ours.includes(path)),
    [],
  )
})

test('files: none is longer than 500 lines without a reason', () => {
  const long = listFiles('**/*.ts', '**/*.mjs').filter(
    (path) => lines(path).length > linesMax && !(path in longFiles),
  )
  assert.deepEqual(long, [])
  assert.deepEqual(
    Object.keys(longFiles).filter((path) => !existsSync(join(root, path)) || lines(path).length <= linesMax),
    [],
  )
})

test('folders: each folder and each subfolder has a README.md', () => {
  const folders = new Set(
    ours.flatMap((path) => [path.split('/')[0]!, path.split('/').slice(0, -1).slice(0, 2).join('/')]),
  )
  assert.deepEqual(
    [...folders].filter((folder) => !existsSync(join(root, folder, 'README.md'))),
    [],
  )
})

test('layers: where a README promises an order, nothing is imported from above', () => {
  assert.deepEqual(allLayerOffences(), [])
})

test('labels: whoever reads a citation finds the rule', () => {
  assert.deepEqual(allLabelOffences(), [])
})

test('errors: docs/errors.md is what the code says', () => {
  assert.equal(readSource('docs/errors.md'), errorsDocument(), 'run: node test/style/errors-doc.ts')
})

test('errors: every code that is thrown stands in an errors.ts', () => {
  const known = new Set([...readErrorCodes().values()].flat().map(({ code }) => code))
  const unknown = ours
    .filter((path) => !path.endsWith('.test.ts'))
    .flatMap((path) =>
      [...readSource(path).matchAll(/CodedError(?:<[^>]*>)?\(\s*'(ERR_\w+)'/g)]
        .filter(([, code]) => !known.has(code!))
        .map(([, code]) => `${path}: ${code}`),
    )
  assert.deepEqual(unknown, [])
})

test('tests: none is skipped, left for later or preferred', () => {
  const tricks = /\b(?:test|it|describe|suite|t)\.(?:skip|only|todo)\b|\b(?:skip|todo|only): *(?:true|['"`])/
  const offences = sources
    .filter((path) => path.endsWith('.test.ts'))
    .flatMap((path) => lines(path).flatMap((line, at) => (tricks.test(line) ? [`${path}:${at + 1}`] : [])))
  assert.deepEqual(offences, [])
})

test('lockfiles: hold no address of a registry', () => {
  const lockfiles = listFiles('**/package-lock.json')
  assert.ok(lockfiles.length >= 2)
  assert.deepEqual(
    lockfiles.filter((path) => /"resolved"/.test(readSource(path))),
    [],
  )
})

test('lockfiles: every package has a version and a checksum, else npm ci refuses', () => {
  const incomplete = listFiles('**/package-lock.json').flatMap((path) => {
    const { packages } = JSON.parse(readSource(path)) as {
      packages: Record<string, { version?: string; integrity?: string; link?: true }>
    }
    return Object.entries(packages)
      .filter(
        ([name, { version, integrity, link }]) =>
          name !== '' && !link && (version === undefined || integrity === undefined),
      )
      .map(([name]) => `${path}: ${name}`)
  })
  assert.deepEqual(incomplete, [])
})
