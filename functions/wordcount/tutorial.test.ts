/**
 * Runs docs/tutorial.md as a reader would, in a home folder of its own.
 *
 * A fence marked `sh` is run as it stands, in the folder where the one before it ended; `sh background` in a second
 * terminal, until the end; `sh setup` was done by whoever runs the tests. Each line of a `text` fence must have been
 * part of what came out since the last such fence.
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '..', '..')
/** Longer than a slow machine takes for anything: it is for what hangs. */
const waitMs = 180_000

interface Fence {
  readonly kind: string
  readonly text: string
}

function fencesOf(markdown: string): Fence[] {
  return [...markdown.matchAll(/^```(\w+(?: \w+)?)\n(.*?)^```$/gms)].map(([, kind, text]) => ({
    kind: kind!,
    text: text!,
  }))
}

/** The two terminals of a reader. */
class Reader {
  readonly #home: string
  readonly #background: ChildProcess[] = []
  #folder = root
  #output = ''

  constructor(home: string) {
    this.#home = home
  }

  /** A global folder of npm's that the reader may write to, with its commands on PATH. */
  get #ownNpm(): NodeJS.ProcessEnv {
    const prefix = join(this.#home, 'npm')
    return { npm_config_prefix: prefix, PATH: [join(prefix, 'bin'), process.env['PATH']].join(delimiter) }
  }

  async do({ kind, text }: Fence): Promise<void> {
    if (kind === 'sh') await this.#run(text)
    else if (kind === 'sh background') await this.#start(text)
    else if (kind === 'text') for (const line of text.trimEnd().split('\n')) await this.#see(line)
    if (kind === 'text') this.#output = ''
  }

  /** Closes the second terminal, and stops the platform, however far the tutorial came. */
  async close(): Promise<void> {
    const open = this.#background.filter((child) => child.exitCode === null && child.signalCode === null)
    for (const child of open) process.kill(-child.pid!)
    await Promise.all(open.map((child) => once(child, 'exit')))
    this.#folder = root
    await this.#run(`'${join(root, 'sdk', 'cli', 'bin.mjs')}' down`)
  }

  async #run(script: string): Promise<void> {
    const folderFile = join(this.#home, 'folder')
    const child = this.#spawn(`set -e\n${script}\npwd > '${folderFile}'`)
    const [code] = await once(child, 'close')
    assert.equal(code, 0, `${script}\nended with ${code}, and said:\n${this.#output}`)
    this.#folder = readFileSync(folderFile, 'utf8').trim()
  }

  async #start(script: string): Promise<void> {
    this.#background.push(this.#spawn(script))
    await this.#see('following')
  }

  async #see(line: string): Promise<void> {
    for (const startedAtMs = performance.now(); !this.#output.includes(line); await sleep(20)) {
      assert.ok(
        performance.now() - startedAtMs < waitMs,
        `expected to read '${line}', found:\n${this.#output}`,
      )
    }
  }

  #spawn(script: string): ChildProcess {
    const env = { ...environment(), ...this.#ownNpm, HOME: this.#home }
    const child = spawn('bash', ['-c', script], { cwd: this.#folder, env, detached: true })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.#output += text
      })
    }
    return child
  }
}

/** As a reader's, except that the platform takes free ports: the usual ones may be in use on this machine. */
function environment(): NodeJS.ProcessEnv {
  // The tutorial's own unit tests are a run of their own, not part of this one.
  const { CONCORD_HOME: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  const ports = { CONCORD_GATEWAY_PORT: '0', CONCORD_NATS_PORT: '0', CONCORD_MESOS_PORT: '0' }
  return { ...env, ...ports, npm_config_update_notifier: 'false' }
}

async function read(t: TestContext, document: string): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'concord-tutorial-'))
  const reader = new Reader(home)
  t.after(async () => {
    await reader.close()
    rmSync(home, { recursive: true, force: true })
  })
  const fences = fencesOf(readFileSync(document, 'utf8'))
  assert.ok(fences.length > 10, `expected a tutorial, found ${fences.length} fences`)
  for (const fence of fences) await reader.do(fence)
}

test('tutorial can be followed, command by command, with the outcome that it shows', async (t) => {
  await read(t, join(root, 'docs', 'tutorial.md'))
})
