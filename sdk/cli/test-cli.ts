/**
 * TestCli: runs the real command line as a process, under the Node that a user has. Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Script, startTestGateway } from '../client/test-gateway.ts'

export const root = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '')
export const bin = join(root, 'sdk', 'cli', 'bin.mjs')

/** The machine's own Node, if it differs from the one that runs the tests: the command line must work on it. */
export const plainNode = findPlainNode()

function findPlainNode(): string {
  const found = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'))
  return (
    found.find((path) => existsSync(path) && majorOf(path) !== majorOf(process.execPath)) ?? process.execPath
  )
}

function majorOf(node: string): string {
  return execFileSync(node, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }).trim()
}

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly command?: string
}

/** Runs `concord WORDS…` to its end, in an empty state folder and without the tests' own environment. */
export async function concord(
  words: readonly string[],
  { cwd, env, input, command = bin }: RunOptions = {},
): Promise<Ran> {
  const startedMs = performance.now()
  const child = spawn(plainNode, [command, ...words], {
    cwd: cwd ?? root,
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', CONCORD_HOME: '/nonexistent', ...env },
    timeout: 30_000,
  })
  child.stdin.on('error', () => {}) // the command may end without reading
  child.stdin.end(input ?? '')
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ])
  return { code, stdout, stderr, ms: performance.now() - startedMs }
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

/** A folder that is deleted after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'concord-cli-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** An environment in which `node` is the Node that runs the tests. */
export const withTestsNode = { PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` }

/** A gateway with scripted answers, and the options with which the CLI reaches it. */
export async function gatewayOf(t: TestContext, script: Script) {
  const gateway = await startTestGateway(script)
  t.after(() => gateway.close())
  return { ...gateway, env: { CONCORD_URL: gateway.url, CONCORD_TOKEN: 'secret' } }
}

/** Asserts that a failure is reported in one line on standard error, and nowhere else. */
export function assertFails({ code, stdout, stderr }: Ran, exitCode: number, line: RegExp): void {
  assert.match(stderr, line)
  assert.match(stderr, /^concord: [^\n]*\n$/)
  assert.equal(stdout, '')
  assert.equal(code, exitCode)
}

/** The last line of the output, parsed as JSON. */
export const lastJson = ({ stdout }: Ran) => JSON.parse(stdout.trimEnd().split('\n').at(-1)!)
