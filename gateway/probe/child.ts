/**
 * Child: the process in which an upload is compiled and evaluated. One upload, one answer, then it ends itself with
 * SIGKILL: an isolate that has run hostile code is not worth an orderly exit.
 * @module
 */
import { flushCompileCache } from 'node:module'
import { buffer } from 'node:stream/consumers'
import { isolateScript } from '../../infra/programs.mjs'
import { CodedError } from '../../sdk/errors.ts'
import type { Answer } from './answer.ts'
import { compile } from './compile.ts'
import { Evaluator, timeoutMs } from './evaluate.ts'
import {
  bundleBytesMax,
  type childCodes,
  decodeUpload,
  encode,
  mend,
  readyByte,
  type Upload,
} from './protocol.ts'

const none = new Uint8Array(0)
/** Longer than the prober waits. */
const lifetimeMs = 10_000

async function answerOf(upload: Upload, evaluator: Evaluator): Promise<Answer> {
  try {
    const compiled = upload.kind === 'source' ? await compile(text(upload.code), upload.file) : undefined
    const code = compiled?.code ?? text(upload.code)
    const sourceMap = compiled?.sourceMap ?? text(upload.sourceMap)
    const { metadata, callbacks } = await withDeadline(evaluator.evaluate(code, sourceMap))
    const codeBytes = compiled === undefined ? none : Buffer.from(code)
    const mapBytes = compiled === undefined ? none : Buffer.from(sourceMap)
    if (codeBytes.length > bundleBytesMax)
      return failure(
        'ERR_TOO_LARGE',
        `Cannot take ${upload.file}: compiled it is larger than ${bundleBytesMax} bytes.`,
      )
    const bytes: [number, number] = [codeBytes.length, mapBytes.length]
    return {
      outcome: { ok: true, metadata, callbacks: [...callbacks], bytes },
      code: codeBytes,
      sourceMap: mapBytes,
    }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return failure(error.code as (typeof childCodes)[number], error.message, error.detail)
  }
}

function failure(code: (typeof childCodes)[number], message: string, detail: object = {}): Answer {
  return { outcome: { ok: false, code, message, ...detail, bytes: [0, 0] }, code: none, sourceMap: none }
}

/** Bounds work that the isolate's own limit misses: the host's handling of a thrown error. */
function withDeadline<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const text = `Cannot load the function: its top level runs longer than ${timeoutMs} ms. ${mend}`
      reject(new CodedError('ERR_LOAD_DEADLINE', text))
    }, timeoutMs + 1000)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

const evaluator = new Evaluator(await isolateScript('probe-globals.js'))
flushCompileCache() // otherwise Node writes it at an orderly exit, and this process ends by SIGKILL
process.stdout.write(Buffer.of(readyByte))
// throws if the gateway was killed before it sent everything, and so ends
const upload = decodeUpload(await buffer(process.stdin))
setTimeout(endGroup, lifetimeMs) // if the gateway is killed now, nobody else ends this process
const { outcome, code, sourceMap } = await answerOf(upload, evaluator)
process.stdout.write(encode(outcome, code, sourceMap), endGroup)

/** Ends this process, and esbuild's service with it. */
function endGroup(): void {
  process.kill(-process.pid, 'SIGKILL')
}
