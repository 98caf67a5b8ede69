/**
 * Gate: a deploy that the gate has held up: shown, and gone on with where it asks and the person at the terminal says so.
 * @module
 */
import { stderr, stdin } from 'node:process'
import { createInterface } from 'node:readline/promises'
import { RefusedError } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliErrorCode } from '../errors.ts'
import { note } from '../terminal.ts'
import { findingsText, gateText } from '../text/gate-text.ts'

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
    const { code, message } = error as RefusedError
    const asks = code === 'ERR_GATE_ASKS' && stdin.isTTY && stderr.isTTY // nobody is asked off a terminal
    note(asks ? gateText(gate) : findingsText(gate)) // why is in the message
    if (asks && (await isWanted())) return await deploy(true)
    const text = asks ? `Nothing was deployed: ${gate.name} runs v${gate.from} as before` : message
    throw new CodedError<CliErrorCode>('ERR_GATE_HOLDS', text, { cause: error })
  }
}

async function isWanted(): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stderr })
  try {
    return /^y(es)?$/i.test((await lines.question('Deploy it all the same? [y/N] ')).trim())
  } finally {
    lines.close()
  }
}
