/**
 * concord fn tap NAME, concord fn replay FILE: saves the recent inputs of an instance, and runs them again.
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { tapKibMax } from '../../manifest/limits.ts'
import { parseTap, recordsDone, type TapFile, type TapRecord, tapRecords, tapText } from '../../replay/tap.ts'
import type { CliCommand, Installation, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { type CliErrorCode, exitCodes } from '../errors.ts'
import { wholeNumber } from '../numbers.ts'
import { assetFilesIn, hashOfFile } from '../project/assets.ts'
import { bundleProject } from '../project/bundle.ts'
import { openProject } from '../project/project.ts'
import { dim, note, print, printJson, table } from '../terminal.ts'

interface TapOptions extends ServerOptions {
  readonly instance?: string
  readonly tail: number
  readonly output?: string
}

interface ReplayOptions {
  readonly source?: string
  readonly assets?: string
  readonly json?: boolean
}

export function addTap(fn: CliCommand, installation: Installation): void {
  fn.command('tap')
    .description('Show the recent inputs of an instance, or save them for `concord fn replay`.')
    .argument('<name>', 'the function')
    .option(
      '--instance <id>',
      'which instance, e.g. score-1 or 1 (default: the first that runs and holds records)',
    )
    .option('--tail <n>', 'how many records', wholeNumber(0), 20)
    .option('-o, --output <file>', 'write the tap to a file, for `concord fn replay`')
    .printsData('the tap')
    .talksToServer()
    .example('concord fn tap score', 'concord fn tap score --instance score-1 -o score.tap.json')
    .action(tap)
  fn.command('replay')
    .description(
      'Run a tap again on this machine, with its own code or yours, and compare the outputs. Exits with 1 if they differ.',
    )
    .argument('<file>', 'a tap, from `concord fn tap -o` or from a failed instance')
    .option(
      '--source <path>',
      'a source file, or a folder with concord.jsonc, to run instead of the code in the tap',
    )
    .option('--assets <folder>', 'a folder with its assets (default: the folder assets/ of --source)')
    .printsData()
    .example('concord fn replay score.tap.json', 'concord fn replay score.tap.json --source score.ts')
    .action((file: string, options: ReplayOptions) => replayFile(installation, file, options))
}

async function tap(name: string, options: TapOptions): Promise<void> {
  const client = connect(options)
  const ids = options.instance === undefined ? await idsOf(client, name) : [idOf(name, options.instance)]
  const file = await firstTap(client, ids)
  const id = file.instance
  if (options.output !== undefined) {
    await writeFile(options.output, tapText(file))
    note(`Written to ${options.output}`)
  }
  if (options.json) return await printJson(JSON.parse(tapText(file)))
  const records = recordsOf(file)
  const others = ids.length - 1
  if (records.length === 0) {
    const neither = others === 0 ? '' : ` Nor do those of the other instances that run (${others}).`
    return await print(`The tap of ${id} holds no records: ${emptyText(file)}.${neither}`)
  }
  if (others > 0) note(dim(`of ${id}, one of ${ids.length} instances; --instance shows another`))
  const rows = records
    .slice(-options.tail)
    .map((record) => [
      new Date(record.nowMs).toISOString(),
      `${record.stream}/${record.partition}`,
      `#${record.sequence}${record.attempt > 1 ? `, attempt ${record.attempt}` : ''}`,
      text(record.key),
      text(record.value),
    ])
  await print(table([['TIME', 'STREAM', 'RECORD', 'KEY', 'VALUE'], ...rows]))
}

function emptyText({ missed = 0 }: TapFile): string {
  return missed === 0
    ? 'it was given none since it began, at its start, a restart or a new version'
    : `each of its ${missed} batches since it began was larger than half of it; "tap": { "kib": … } in its concord.jsonc gives it more, ${tapKibMax} at most`
}

function idOf(name: string, asked: string): string {
  const index = asked.startsWith(`${name}-`) ? asked.slice(name.length + 1) : asked
  if (/^\d+$/.test(index)) return `${name}-${index}`
  const text = `'${asked}' is no instance of ${name}: it is an id or its number, as ${name}-1 or 1`
  throw new CodedError<CliErrorCode>('ERR_USAGE', text)
}

/** The instances that run. If none does, one of which the gateway says so. */
async function idsOf(client: ConcordClient, name: string): Promise<readonly string[]> {
  const { instances } = await client.inspect(name)
  const atWork = instances.filter(({ state }) => state === 'running' || state === 'swapping')
  return atWork.length > 0 ? atWork.map(({ id }) => id) : [instances[0]?.id ?? `${name}-0`]
}

/** The first tap that holds records, or the first one. */
async function firstTap(client: ConcordClient, [id, ...others]: readonly string[]): Promise<TapFile> {
  const first = await client.tap(id!)
  if (recordsOf(first).length > 0) return first
  for (const other of others) {
    const file = await client.tap(other)
    if (recordsOf(file).length > 0) return file
  }
  return first
}

function recordsOf({ chapters }: TapFile): (TapRecord & { readonly nowMs: number })[] {
  return chapters.flatMap(({ entries, boot }) =>
    entries.flatMap((entry, at) => {
      const given = tapRecords(entry, boot.inputs).slice(0, recordsDone(entries, at))
      return given.map((record) => ({ ...record, nowMs: entry.nowMs }))
    }),
  )
}

async function replayFile(
  installation: Installation,
  path: string,
  { source, assets: folder, json }: ReplayOptions,
): Promise<void> {
  const file = await readTap(path)
  const project = source === undefined ? undefined : await openProject(source, 'replay')
  const bundle = project === undefined ? file.bundle : (await bundleProject(installation, project)).code
  const assets = await readAssets(path, file, folder ?? project?.assets)
  if (bundle === undefined)
    throw new CodedError<CliErrorCode>(
      'ERR_TAP_FILE',
      `Cannot replay ${path}: it holds no code; name it with --source`,
    )
  const [{ transform }, { callMsMax, replay, runtimeText }] = await Promise.all([
    import('esbuild'),
    import('../../replay/index.ts'),
  ])
  const { code } = await transform(bundle, {
    format: 'iife',
    globalName: 'concordFunction',
    target: 'es2024',
  })
  const options = { runtime: runtimeText(), definition: `${code};concordFunction.default`, assets }
  const answers = []
  for (const [index, chapter] of file.chapters.entries()) {
    const { calls, records, same } = await replay(chapter, options)
    const outputs = calls.flatMap((call) => call.outputs)
    const errors = calls.flatMap((call) => call.errors)
    const retries = calls.reduce((sum, call) => sum + call.retries, 0)
    const state =
      chapter.state.kind === 'tooLarge'
        ? `without its state (${chapter.state.bytes} bytes)`
        : 'with its state'
    answers.push({ same, state: chapter.state.kind, records, retries, outputs: outputs.length, errors })
    if (json) continue
    for (const { stream, partition, key, value } of outputs)
      await print(`${stream}/${partition} ${text(key)} ${text(value)}`)
    for (const call of calls) for (const line of call.console) note(line)
    for (const error of errors) note(error)
    if (calls.some(({ stopped }) => stopped))
      note(`The last call did not come back within ${callMsMax / 1000} s; it did not come back then either`)
    const verdict = same ? 'the same as then' : 'not the same as then'
    const again = retries === 0 ? '' : ` and ${retries} retries`
    const counted = `${records} records${again}, ${outputs.length} outputs, ${errors.length} errors`
    note(`Chapter ${index + 1}, ${state}: ${counted}: ${verdict}`)
  }
  const same = answers.every((answer) => answer.same)
  if (json) await printJson({ same, chapters: answers })
  if (file.chapters.length === 0 && !json) note('The tap is empty: there is nothing to run again')
  if (same) return
  process.exitCode = exitCodes.failed
  const bytes = Math.max(
    0,
    ...file.chapters.map(({ state }) => (state.kind === 'tooLarge' ? state.bytes : 0)),
  )
  if (bytes > 0) note(stateText(bytes))
}

/** How large a tap this state needs: a chapter's beginning may take a quarter of it (runner/isolate/tap/tap.ts). */
function stateText(bytes: number): string {
  const kib = Math.ceil((bytes * 4) / 1024)
  const way =
    kib <= tapKibMax
      ? `"tap": { "kib": ${kib} } in its concord.jsonc makes room for it`
      : `a tap has room for ${tapKibMax / 4} KiB at most`
  return `The state of ${bytes} bytes is not in the tap, so what depends on it comes out otherwise: ${way}`
}

/** The function's assets, found by their hash among the files of a folder. */
async function readAssets(
  path: string,
  { chapters }: TapFile,
  folder: string | undefined,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const had = new Map(chapters.flatMap(({ boot }) => Object.entries(boot.assets ?? {})))
  const found = new Map<string, Uint8Array>()
  if (had.size === 0) return found
  for (const file of assetFilesIn(folder).values()) found.set(await hashOfFile(file), await readFile(file))
  const lacking = [...had].find(([, sha256]) => !found.has(sha256))
  if (lacking === undefined) return found
  throw new CodedError<CliErrorCode>(
    'ERR_TAP_FILE',
    `Cannot replay ${path}: the function had asset '${lacking[0]}' with the sha256 ${lacking[1]}, and ${folder ?? 'nothing that was named'} has no such file; name its folder with --assets`,
  )
}

async function readTap(path: string): Promise<TapFile> {
  try {
    return parseTap(await readFile(path, 'utf8'))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CodedError<CliErrorCode>('ERR_FILE_MISSING', `Cannot read ${path}: there is no such file`)
    throw new CodedError<CliErrorCode>('ERR_TAP_FILE', `Cannot read ${path}: ${(cause as Error).message}`, {
      cause,
    })
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.length > 200 ? bytes.subarray(0, 200) : bytes)
}
