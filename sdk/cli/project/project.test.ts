import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isCode } from '../../errors.ts'
import { namePattern as manifestPattern } from '../../manifest/manifest.ts'
import { namePattern } from '../commands/init.ts'
import { schemaPath, schemaText } from '../schema.ts'
import { temporaryFolder } from '../test-cli.ts'
import { openProject, openProjectFile } from './project.ts'

function projectWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder(t)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** The message with which a configuration is refused. */
async function refusal(t: TestContext, text: string): Promise<string> {
  const folder = projectWith(t, { 'config.json': text, 'index.ts': '' })
  try {
    await openProjectFile(join(folder, 'config.json'))
  } catch (error) {
    assert.ok(isCode(error, 'ERR_PROJECT_INVALID'))
    return error.message
  }
  assert.fail(`${text} was not refused`)
}

test('openProject accepts a single source file without a manifest', async (t) => {
  const folder = projectWith(t, { 'shout.ts': '' })
  assert.deepEqual(await openProject(join(folder, 'shout.ts')), {
    entry: join(folder, 'shout.ts'),
    folder,
    manifest: {},
  })
})

test('openProject opens a folder by its concord.jsonc, and uploads only what that sets', async (t) => {
  const config =
    '\uFEFF{ // a mark of the byte order, comments and trailing commas are fine\n "$schema": "x", "main": "a.ts", "instances": 2, }'
  const folder = projectWith(t, { 'concord.jsonc': config, 'a.ts': '', 'b.ts': '' })
  assert.deepEqual(await openProject(folder), {
    entry: join(folder, 'a.ts'),
    folder,
    assets: join(folder, 'assets'),
    manifest: { instances: 2 },
  })
  assert.deepEqual((await openProject(join(folder, 'a.ts'))).manifest, { instances: 2 })
  assert.deepEqual(await openProject(join(folder, 'concord.jsonc')), await openProject(folder))
  assert.deepEqual(await openProject(join(folder, 'b.ts')), {
    entry: join(folder, 'b.ts'),
    folder,
    manifest: {},
  })
})

test('openProject says what is missing', async (t) => {
  const folder = projectWith(t, { 'concord.jsonc': '{}' })
  await assert.rejects(openProject(folder), /there is no index.ts in .*'main'/)
  await assert.rejects(openProject(join(folder, 'nope.ts')), (error) => isCode(error, 'ERR_FILE_MISSING'))
})

test('openProject says that an entry is a folder', async (t) => {
  const folder = projectWith(t, { 'concord.jsonc': '{ "name": "f", "main": "." }' })
  await assert.rejects(openProject(folder), /its 'main' is a folder, .*; name the file in it/)
})

test('openProjectFile uses the folder of the file', async (t) => {
  const essay = projectWith(t, { 'config.json': '{"main": "a.ts", "instances": 3}', 'a.ts': '' })
  assert.deepEqual(await openProjectFile(essay), {
    entry: join(essay, 'a.ts'),
    folder: essay,
    assets: join(essay, 'assets'),
    manifest: { instances: 3 },
  })
  const short = projectWith(t, { 'concord.jsonc': '{"istreams": {"words": "groupBy"}}', 'index.ts': '' })
  assert.equal(JSON.stringify((await openProjectFile(short)).manifest), '{"istreams":{"words":"groupBy"}}')
  const ours = projectWith(t, { 'concord.jsonc': '{"main": "a.ts"}', 'config.json': '{', 'a.ts': '' })
  assert.equal((await openProjectFile(ours)).entry, join(ours, 'a.ts'))
  const bare = projectWith(t, { 'index.ts': '' })
  assert.deepEqual((await openProjectFile(bare)).manifest, {})
  const empty = projectWith(t, { 'readme.txt': '' })
  await assert.rejects(openProjectFile(empty), /there is no project in .*'concord init NAME' creates one/)
})

test('openProjectFile accepts the keys of the original design that have a meaning here', async (t) => {
  const config = {
    computation_name: 'shout',
    executable_name: 'main.ts',
    executable_arguments: ['a', 'b'],
    environment_variables: ['MODE=loud', 'URL=http://x/?a=b'],
    cpus: 0.5,
    mem: 512,
    disk: 64,
    instances: 3,
    retries: 5,
    framework_logging_level: 0,
    onError: 'skip',
  }
  const folder = projectWith(t, { 'config.json': JSON.stringify(config), 'main.ts': '' })
  const { entry, manifest } = await openProjectFile(join(folder, 'config.json'))
  assert.equal(entry, join(folder, 'main.ts'))
  assert.deepEqual(manifest, {
    name: 'shout',
    args: ['a', 'b'],
    env: { MODE: 'loud', URL: 'http://x/?a=b' },
    resources: { cpus: 0.5, memMib: 512, diskMib: 64 },
    instances: 3,
    restarts: 5,
    logLevel: 'info',
    onError: 'skip',
  })
})

test('openProjectFile refuses an unknown key with its position, and names the nearest known one', async (t) => {
  assert.equal(
    await refusal(t, '{\n  "instnaces": 2\n}'),
    "Cannot read config.json:2:3: unknown key 'instnaces'; did you mean 'instances'?",
  )
  assert.match(
    await refusal(t, '{"resources": {"memMb": 1}}'),
    /'resources': unknown key 'memMb'; did you mean 'memMib'\?/,
  )
  for (const [written, meant] of [
    ['{"gate": {"maxDif": 0.1}}', "'gate': unknown key 'maxDif'; did you mean 'maxDiff'?"],
    ['{"trial": {"recrods": 1}}', "'trial': unknown key 'recrods'; did you mean 'records'?"],
    ['{"rollout": {"cannary": {}}}', "'rollout': unknown key 'cannary'; did you mean 'canary'?"],
    [
      '{"rollout": {"canary": {"bakeS": 1}}}',
      "'rollout.canary': unknown key 'bakeS'; did you mean 'bakeMs'?",
    ],
    [
      '{"scale": {"max": 2, "targets": {"behindMs": 99, "backlg": 1}}}',
      "'scale.targets': unknown key 'backlg'; did you mean 'backlog'?",
    ],
    ['{"tape": {"minuts": 1}}', "'tape': unknown key 'minuts'; did you mean 'minutes'?"],
    [
      '{"istreams": {"a": {"grouping": "groupBy", "backPresure": 1}}}',
      "'istreams.a': unknown key 'backPresure'; did you mean 'backPressure'?",
    ],
  ] as const)
    assert.ok((await refusal(t, written)).endsWith(meant), `${written}: ${await refusal(t, written)}`)
  assert.match(await refusal(t, '{"computation_nmae": "x"}'), /did you mean 'computation_name'\?/)
  assert.match(await refusal(t, '{"zookeeper_hosts": "x"}'), /unknown key 'zookeeper_hosts'$/)
})

test('openProjectFile refuses values of the wrong shape, and duplicate settings', async (t) => {
  assert.match(
    await refusal(t, '{"instances": "two"}'),
    /config.json:1:2: 'instances': expected a number, found "two"$/,
  )
  assert.match(
    await refusal(t, '{"mem": 512, "resources": {"memMib": 1}}'),
    /'mem' is wrong: 'resources.memMib' says the same/,
  )
  assert.match(await refusal(t, '{"environment_variables": ["MODE"]}'), /expected NAME=value, found 'MODE'/)
  assert.match(
    await refusal(t, '{"istreams": {"words": "groupby"}}'),
    /'istreams.words': expected one of "groupBy", .*"explicit", or an object \{…\}, found "groupby"$/,
  )
  assert.match(await refusal(t, '{"instances": '), /it is not JSON/)
  assert.match(await refusal(t, ''), /config.json:1:1: it is not JSON: value expected/)
  assert.match(await refusal(t, '[]'), /config.json:1:1: expected an object \{…\}, found \[\]$/)
  assert.equal(
    await refusal(t, '{\n  "onError": { "retry": 3 }\n}'),
    'Cannot read config.json:2:3: \'onError.then\': expected one of "fail", "skip", "deadLetter", found nothing',
  )
})

test('the published JSON Schema is the one that the command line checks against', () => {
  assert.equal(readFileSync(schemaPath, 'utf8'), schemaText(), 'run: node sdk/cli/schema.ts')
})

test('init uses the same name pattern as the manifest', () => {
  assert.equal(namePattern.source, manifestPattern.source)
})
