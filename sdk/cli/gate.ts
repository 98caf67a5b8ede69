/**
 * Gate: a deploy that the gate has held up: shown, and gone on with where it asks and the person at the terminal says so.
 * @module
 */
import { stderr, stdin } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { RefusedError } from '../client/index.ts'
import { CodedError } from '../errors.ts'
import type { CliErrorCode } from './errors.ts'
import { gateText } from './gate-text.ts'
import { note } from './terminal.ts'

/**
 * @param deploy Does it; with true, where its gate asks.
 * @throws {CodedError} ERR_GATE_HOLDS, when what was found is shown.
 */
export async function throughGate<T>(deploy: (accept: boolean) => Promise<T>, accept: boolean): Promise<T> {
  try {
    return await deploy(accept)
  } catch (error) {
    const gate = error instanceof RefusedError ? error.problem?.gate : undefined
    if (gate === undefined) throw error
    note(gateText(gate))
    const { code, message } = error as RefusedError
    if (code === 'ERR_GATE_ASKS' && (await isWanted())) return await deploy(true)
    throw new CodedError<CliErrorCode>('ERR_GATE_HOLDS', message, { cause: error })
  }
}

/** Nobody is asked off a terminal. */
async function isWanted(): Promise<boolean> {
  if (!stdin.isTTY || !stderr.isTTY) return false
  const lines = createInterface({ input: stdin, output: stderr })
  try {
    return /^y(es)?$/i.test((await lines.question('Deploy it all the same? [y/N] ')).trim())
  } finally {
    lines.close()
  }
}
