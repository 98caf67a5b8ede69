/**
 * caller: the program beside Concord that answers the questions of enrich.ts. For each it asks an HTTP API, some at a time,
 * and sends what that says to the stream `answers`.
 *
 * A call that fails is no answer: enrich asks again. With `hold`, the function waits for a program that is slow.
 *
 *     CONCORD_URL=… CONCORD_TOKEN=… API_URL=https://api.example/country/ node caller.ts
 * @module
 */
import { ConcordClient, isRecord } from 'concord/client'

const { CONCORD_URL = 'http://127.0.0.1:8642', CONCORD_TOKEN, API_URL } = process.env
const callsAtOnce = 16
const callMs = 5_000

const client = new ConcordClient({ url: CONCORD_URL, token: CONCORD_TOKEN })
const open = new Set<Promise<void>>()
for await (const line of client.follow('questions', { hold: true, resumeMs: 60_000 })) {
  if (!isRecord(line))
    console.error(JSON.stringify(line)) // `ready`, or a gap: questions that were missed
  else if (line.key !== undefined) {
    const call = answer(line.key)
      .catch((error: unknown) => console.error(`no answer for ${line.key}: ${error}`))
      .finally(() => open.delete(call))
    open.add(call)
    if (open.size >= callsAtOnce) await Promise.race(open)
  }
}

async function answer(address: string): Promise<void> {
  const response = await fetch(`${API_URL}${encodeURIComponent(address)}`, {
    signal: AbortSignal.timeout(callMs),
  })
  if (!response.ok) throw new Error(`the API answered ${response.status}`)
  await client.produce('answers', [{ key: address, value: await response.text() }])
}
