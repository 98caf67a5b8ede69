/**
 * Imports: which a source file has, and which it may have.
 *
 *  L1. A top-level folder imports only from those that `arrows` names for it: processes never import one another.
 *  L2. From another top-level folder it imports a door: a file at the top of sdk/ or infra/ or of a subfolder of shapes, another subfolder's
 *      `index.ts`, or one of the contracts that all processes share. test/ sees everything.
 *  L3. Node's modules have their prefix, files their extension, and a package is one that package.json names.
 * @module
 */
import { builtinModules } from 'node:module'
import { posix } from 'node:path'

/** The table of folders: who may import whom. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  sdk: [],
  infra: ['sdk'],
  gateway: ['sdk', 'infra'],
  scheduler: ['sdk', 'infra'],
  runner: ['sdk', 'infra'],
  functions: ['sdk'],
  test: ['sdk', 'infra', 'gateway', 'scheduler', 'runner', 'functions'],
}

/** Subfolders whose every file is a shape that processes share, with nothing behind it. */
const shapes = ['sdk/wire', 'sdk/manifest', 'sdk/versions', 'sdk/api', 'infra/control/messages']

/** The shapes in the store, which belong to no subfolder's inside. */
const contracts = ['infra/store/documents.ts']

/** The name under which functions import the sdk; package.json exports it. */
const ourName = 'concord'

/** What tests and checks are made with: nothing that runs in earnest imports them. */
const testTools = ['@biomejs/biome', 'fast-check', 'hdr-histogram-js', 'typescript']

export interface Import {
  readonly specifier: string
  /** `import type`, `export type`: gone by the time that it runs. */
  readonly isType: boolean
}

/** All imports and re-exports of a source text: static, dynamic with a literal, types included. */
export function readImports(source: string): readonly Import[] {
  const code = source.replace(/^\s*(\/\/|\/?\*).*$/gm, '') // comment lines: examples there import too
  const statements = code.matchAll(
    /^(?:import|export)\b(?:\s+(?:type\s+)?[\w*$\s{},]*?\bfrom|)\s*['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/gm,
  )
  return [...statements]
    .filter(({ index }) => !inTemplate(code, index))
    .map(([statement, fixed, dynamic]) => ({
      specifier: (fixed ?? dynamic)!,
      isType: /^(?:import|export)\s+type\s+[{*\w]/.test(statement),
    }))
}

/** Whether a place in the code lies inside a template literal: sources of functions, in tests, import as well. */
function inTemplate(code: string, index: number): boolean {
  return (code.slice(0, index).match(/(?<!\\)`/g) ?? []).length % 2 === 1
}

/** What is wrong with `file` importing `specifier`, if anything. */
export function judgeImport(
  file: string,
  specifier: string,
  packages: readonly string[],
): string | undefined {
  if (specifier.startsWith('node:')) return undefined
  if (builtinModules.includes(specifier.split('/')[0]!))
    return `Node's modules have their prefix: 'node:${specifier}'`
  return specifier.startsWith('.') ? judgeFile(file, specifier) : judgePackage(file, specifier, packages)
}

function judgeFile(file: string, specifier: string): string | undefined {
  if (!/\.(ts|mjs|json)$/.test(specifier)) return 'a file is imported with its extension'
  const target = posix.join(posix.dirname(file), specifier)
  const [from, to] = [topFolder(file), topFolder(target)]
  if (from === to || target === 'package.json') return undefined
  if (!arrows[from]?.includes(to)) return `${from}/ must not import ${to === '' ? target : `${to}/`}`
  return from === 'test' || isDoor(target)
    ? undefined
    : `${target} is not a door of ${to}/: import its subfolder's index.ts`
}

function judgePackage(file: string, specifier: string, packages: readonly string[]): string | undefined {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (name === ourName)
    return topFolder(file) === 'sdk' ? 'sdk/ must not import itself by its published name' : undefined
  if (!packages.includes(name)) return `package.json does not name '${name}' among its dependencies`
  // Tests, and the suites that several implementations share.
  const isTest = topFolder(file) === 'test' || /(\.test|contract)\.ts$/.test(file)
  return isTest || !testTools.includes(name) ? undefined : `'${name}' is for tests`
}

/** Answers `''` for a file at the root. */
function topFolder(path: string): string {
  return path.includes('/') ? path.split('/')[0]! : ''
}

function isDoor(path: string): boolean {
  const folder = posix.dirname(path)
  return (
    ['sdk', 'infra', ...shapes].includes(folder) || path.endsWith('/index.ts') || contracts.includes(path)
  )
}
