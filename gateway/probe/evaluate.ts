/**
 * Evaluate: loads a bundle in an isolate of its own and returns its metadata. Runs in the probe's child.
 *
 *   E1. Only strings of bounded length leave the isolate.
 *   E2. Each step has a time limit. What escapes it (a looping getter of a thrown error, a built-in that cannot be
 *       interrupted) is killed by the prober.
 * @module
 */
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping'
import ivm from 'isolated-vm'
import { type GatewayErrorCode, type Location, refuse } from '../errors.ts'
import { importMessage } from './compile.ts'
import { inspectAnswers, inspectedModule, inspectScript } from './inspect.ts'
import { type callbackNames, mend, metadataCharsMax } from './protocol.ts'

const memoryMib = 64
export const timeoutMs = 2000
const filename = 'bundle.js'
const textMax = 500

export interface Evaluated {
  readonly metadata: unknown
  readonly callbacks: readonly (typeof callbackNames)[number][]
}

type Inspect = ivm.Reference<(namespace: unknown) => string>

/** An isolate prepared before the bundle arrives. */
export class Evaluator {
  readonly #isolate = new ivm.Isolate({ memoryLimit: memoryMib, onCatastrophicError: () => undefined })
  readonly #context: ivm.Context
  readonly #inspect: Inspect

  /** @param globalsScript Run first, before any code of the author's. */
  constructor(globalsScript: string) {
    this.#context = this.#isolate.createContextSync()
    this.#context.evalSync(globalsScript)
    this.#inspect = this.#context.evalSync(inspectScript, { reference: true }) as Inspect
  }

  /** @throws {CodedError} What is wrong with the bundle, and where in the author's source, if there is a source map. */
  async evaluate(code: string, sourceMap: string): Promise<Evaluated> {
    const map = sourceMap === '' ? undefined : readMap(sourceMap)
    try {
      const module = await this.#isolate.compileModule(code, { filename })
      const [imported] = module.dependencySpecifiers
      if (imported !== undefined) throw importRefused(imported)
      await module.instantiate(this.#context, (name) => {
        throw importRefused(name)
      })
      const inspected = await this.#isolate.compileModule(inspectedModule)
      await inspected.instantiate(this.#context, () => module)
      await inspected.evaluate({ timeout: timeoutMs })
      const answer = await this.#inspect.apply(undefined, [inspected.namespace.derefInto()], {
        timeout: timeoutMs,
      })
      return readAnswer(String(answer))
    } catch (error) {
      throw refusalOf(error, map)
    }
  }
}

function readMap(text: string): TraceMap {
  try {
    return new TraceMap(text)
  } catch {
    throw refuse(
      'ERR_SOURCE_MAP_INVALID',
      "Cannot read the source map: it is not one of version 3 in JSON. Send none, or the bundler's.",
    )
  }
}

function readAnswer(answer: string): Evaluated {
  switch (answer) {
    case inspectAnswers.unfinished:
      throw refuse(
        'ERR_LOAD_DEADLINE',
        'Cannot load the function: its top level never finishes. It awaits a promise that nothing settles while the function is loaded: await it in `init` or a callback.',
      )
    case inspectAnswers.noDefault:
      throw refuse(
        'ERR_NO_DEFAULT_EXPORT',
        'Cannot find the function: the module has no default export that is an object. Write `export default defineFunction({ … })`.',
      )
    case inspectAnswers.noMetadata:
      throw refuse(
        'ERR_METADATA_INVALID',
        "Cannot read the function's metadata: expected an object with at least a `name`.",
      )
    case inspectAnswers.tooLarge:
      throw refuse(
        'ERR_METADATA_INVALID',
        `Cannot read the function's metadata: its JSON has more than ${metadataCharsMax} characters.`,
      )
  }
  const [, callbacks = '', json = ''] = answer.split('\n', 3)
  return {
    metadata: JSON.parse(json),
    callbacks: callbacks.trim().split(' ').filter(Boolean) as Evaluated['callbacks'][number][],
  }
}

function importRefused(name: string): Error {
  return new Error(`Cannot import '${name}'`)
}

/** Makes a refusal from a copy of the isolate's error: name, message and stack only. */
function refusalOf(error: unknown, map: TraceMap | undefined): Error {
  const { name, message, stack } = plainError(error)
  const at = /bundle\.js:(\d+):(\d+)/.exec(stack.replace(/^.*\bat require\b.*$/m, ''))
  const location = at === null ? undefined : locate(Number(at[1]), Number(at[2]), map)
  const [code, text] = verdict(error, name, message)
  const place = location === undefined ? '' : ` (${location.file}:${location.line}:${location.column})`
  return refuse(code, `${text}${place}`, location === undefined ? {} : { location })
}

function plainError(error: unknown): { name: string; message: string; stack: string } {
  if (!(error instanceof Error)) return { name: '', message: String(error).slice(0, textMax), stack: '' }
  return {
    name: String(error.name).slice(0, 100),
    message: String(error.message).slice(0, textMax),
    stack: String(error.stack).slice(0, 10_000),
  }
}

function verdict(error: unknown, name: string, message: string): [GatewayErrorCode, string] {
  if (error instanceof Error && 'code' in error && 'detail' in error)
    return [error.code as GatewayErrorCode, message]
  if (importMessage.test(message)) {
    const text = `${message}: a function may import 'concord' only; bundle the rest into it (\`concord fn deploy\` does)`
    return ['ERR_IMPORT_REFUSED', text]
  }
  if (/script execution timed out/i.test(message)) {
    return [
      'ERR_LOAD_DEADLINE',
      `Cannot load the function: its top level runs longer than ${timeoutMs} ms. ${mend}`,
    ]
  }
  if (/isolate was disposed|memory limit|Array buffer allocation failed/i.test(message)) {
    return [
      'ERR_LOAD_MEMORY',
      `Cannot load the function: it takes more than ${memoryMib} MiB before its first record. ${mend}`,
    ]
  }
  if (name === 'SyntaxError' && / \[bundle\.js:\d+:\d+\]$/.test(message)) {
    return [
      'ERR_SOURCE_INVALID',
      `Cannot compile the bundle: ${message.replace(/ \[bundle\.js:\d+:\d+\]$/, '')}`,
    ]
  }
  return ['ERR_LOAD_THREW', `Cannot load the function: its top level threw ${name || 'a value'}: ${message}`]
}

function locate(line: number, column: number, map: TraceMap | undefined): Location {
  if (map !== undefined) {
    const original = originalPositionFor(map, { line, column: column - 1 })
    if (original.source !== null) {
      return { file: original.source.slice(0, 200), line: original.line, column: original.column + 1 }
    }
  }
  return { file: filename, line, column }
}
