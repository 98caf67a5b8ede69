/**
 * Gate: a deploy that the gate has stopped. Shows the findings; if the gate asks, a person at the terminal may
 * accept.
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
 * @param deploy Deploys; with true, it accepts what the gate asks.
 * @throws {CodedError} ERR_GATE_HOLDS, after the findings were shown.
 */
export async function throughGate<T>(deploy: (accept: boolean) => Promise<T>, accept: boolean): Promise<T> {
  try {
    return await deploy(accept)
  } catch (error) {
    const gate = error instanceof RefusedError ? error.problem?.gate : undefined
    if (gate === undefined) throw error
    const { code, message } = error as RefusedError
    const asks = code === 'ERR_GATE_ASKS' && stdin.isTTY && stderr.isTTY // ask only at a terminal
    note(asks ? gateText(gate) : findingsText(gate)) // the message contains the breaches
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
