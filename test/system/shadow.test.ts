import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import type { Click } from '../../functions/clicks/click.ts'
import { parseCombined } from '../../functions/clicks/combined-log.ts'
import * as model from '../../functions/clicks/model.ts'
import { generateTraffic } from '../../functions/demo/generator.ts'
import type { ShadowDifference, ShadowView } from '../../sdk/versions/shadow.ts'
import { Platform, Reader } from './platform.ts'

const root = join(import.meta.dirname, '../..')
const realLog = join(root, '../shared/data/access.log')
/** The changed model calls a client a fraud sooner, and takes scripts for worse. */
const changes = [
  ['export const threshold = 0.6', 'export const threshold = 0.3'],
  ['scripted: 0.35', 'scripted: 0.45'],
] as const

/** Requests of a real server where they are at hand; else of the demo's visitors. */
function clicks(): Click[] {
  const lines = existsSync(realLog)
    ? readFileSync(realLog, 'utf8').split('\n')
    : [...generateTraffic(5, 10_000).lines]
  return lines.flatMap((line) => {
    try {
      return [parseCombined(line)]
    } catch {
      return [] // what the pipeline would put aside
    }
  })
}

/** `score` with the changed model, as its author would have it beside the other one. */
async function changedModel(platform: Platform): Promise<{ file: string; changed: typeof model }> {
  const folder = join(platform.home, 'changed')
  mkdirSync(folder)
  for (const name of ['score.ts', 'agent.ts', 'click.ts'])
    copyFileSync(join(root, 'functions/clicks', name), join(folder, name))
  let source = readFileSync(join(root, 'functions/clicks/model.ts'), 'utf8')
  for (const [before, after] of changes) {
    assert.ok(source.includes(before), before)
    source = source.replace(before, after)
  }
  const path = join(folder, 'model.ts')
  writeFileSync(path, source)
  return { file: join(folder, 'score.ts'), changed: (await import(pathToFileURL(path).href)) as typeof model }
}

/** Which of the clicks from one on the two models judge otherwise, with both verdicts: a plain program. */
function expectedDifferences(all: readonly Click[], from: number, other: typeof model): string[] {
  const profiles = new Map<string, model.Profile>()
  return all
    .flatMap((click, index) => {
      const profile = model.observe(profiles.get(click.client), click)
      profiles.set(click.client, profile)
      const [live, shadow] = [model, other].map(({ judge }) => JSON.stringify(judge(click.client, profile)))
      return index < from || live === shadow
        ? []
        : [[click.client, JSON.stringify(click), live, shadow].join('\n')]
    })
    .sort()
}

function textOf({ stream, key, value, live, shadow }: ShadowDifference): string {
  assert.equal(stream, 'clicks')
  const verdicts = [live, shadow].map(({ outputs }) => {
    assert.deepEqual(
      outputs.map((output) => [output.stream, output.key]),
      [['verdicts', key]],
    )
    return outputs[0]!.value
  })
  return [key, value, ...verdicts].join('\n')
}

async function untilFound(
  platform: Platform,
  holds: (evidence: ShadowView['evidence']) => boolean,
): Promise<ShadowView> {
  for (const endMs = Date.now() + 120_000; ; ) {
    const found = await platform.client.shadow('score')
    if (holds(found.evidence)) return found
    if (Date.now() > endMs) assert.fail(`not as wanted after two minutes: ${JSON.stringify(found.evidence)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** They go to JetStream some at a time. */
async function untilWritten(platform: Platform, count: number): Promise<void> {
  for (const endMs = Date.now() + 120_000; ; ) {
    let found = 0
    for await (const _ of platform.client.shadowDifferences('score', 2)) found++
    if (found >= count) return
    if (Date.now() > endMs) assert.fail(`${found} of ${count} differences were written down`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

test('a shadow of a changed model: the records that it judges otherwise are listed, those and no others', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const all = clicks()
  const half = Math.floor(all.length / 2)
  const jsonl = (some: readonly Click[]) => some.map((click) => `${JSON.stringify(click)}\n`).join('')
  const flags = ['--name', 'score', '--instances', '2', '--mem', '256']
  await platform.json(['stream', 'create', 'verdicts'])
  const verdicts = await Reader.start(t, platform, ['verdicts', '--hold'])
  const first = await platform.cli(['fn', 'deploy', join(root, 'functions/clicks/score.ts'), ...flags])
  assert.equal(first.code, 0, first.stderr)
  const produce = ['produce', 'clicks', '--key-field', 'client']
  await platform.json(produce, jsonl(all.slice(0, half)))
  await verdicts.read(half) // so there is state to begin with

  const none = await platform.cli(['fn', 'promote', 'score'])
  assert.notEqual(none.code, 0)
  assert.match(none.stderr, /Cannot promote a version of 'score': none was a shadow and waits for it/)
  const { file, changed } = await changedModel(platform)
  const greedy = await platform.cli(['fn', 'deploy', file, '--name', 'score', '--mem', '512', '--shadow'])
  assert.notEqual(greedy.code, 0)
  assert.match(greedy.stderr, /Cannot make a shadow of 'score' beside v1: it asks for more resources/)
  const deployed = await platform.cli(['fn', 'deploy', file, ...flags, '--shadow', '--bake', '3600'])
  assert.equal(deployed.code, 0, deployed.stderr)
  assert.match(deployed.stdout, /score v2 gets copies of all records/)
  await platform.json(produce, jsonl(all.slice(half)))
  await verdicts.read(all.length)
  const { evidence, instances } = await untilFound(platform, ({ records }) => records >= all.length - half)
  const expected = expectedDifferences(all, half, changed)
  assert.ok(expected.length > 100 && expected.length < all.length / 2, `${expected.length} of ${all.length}`)
  const { records, compared, different, listed, failed, missed } = evidence
  assert.deepEqual([records, compared, different], [all.length - half, all.length - half, expected.length])
  assert.deepEqual([listed, failed], [different, { live: 0, shadow: 0, both: 0 }])
  assert.deepEqual([missed, instances], [{ notReady: 0, behind: 0, ended: 0 }, 2])

  const list = async () => {
    const { stdout } = await platform.cli(['fn', 'shadow', 'score', 'v2', '--all', '--json'])
    const lines = stdout.trimEnd().split('\n')
    return lines.map((line) => textOf(JSON.parse(line) as ShadowDifference)).sort()
  }
  await untilWritten(platform, different)
  assert.deepEqual(await list(), expected)

  // Nothing of it was sent; and what was found stays readable when it is promoted.
  assert.equal(verdicts.records.length, all.length)
  const { state, version, shadow } = await platform.client.inspect('score')
  assert.deepEqual([state, version, shadow?.from], ['shadow', 2, 1])
  const promoted = await platform.cli(['fn', 'promote', 'score'])
  assert.equal(promoted.code, 0, promoted.stderr)
  assert.match(promoted.stdout, /score v2 is running/)
  const text = (await platform.cli(['fn', 'shadow', 'score'])).stdout
  assert.match(
    text,
    new RegExp(`score v2 as a shadow of v1: over, .*\\n.*${compared} records compared: ${different} differ`),
  )
  assert.deepEqual(await list(), expected)

  // The other way round, watched to the end of its time, with nothing to compare.
  const back = await platform.cli([
    ...['fn', 'deploy', join(root, 'functions/clicks/score.ts'), ...flags],
    ...['--shadow', '--bake', '2', '--watch'],
  ])
  assert.equal(back.code, 0, back.stderr)
  assert.match(
    back.stdout,
    /score v3 as a shadow of v2: over, \d of 2 s, in 2 of 2 instances\n.* no record was compared/,
  )
  const versions = await platform.client.versions('score')
  assert.deepEqual(
    versions.map(({ version: number, state: what }) => [number, what]),
    [
      [3, 'shadowed'],
      [2, 'live'],
      [1, 'replaced'],
    ],
  )
})
