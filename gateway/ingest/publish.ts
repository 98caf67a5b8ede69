/**
 * Publish: sends the body of one `POST …/records` into a stream, chunk by chunk.
 *
 *   P1. The accepted records are the first ones of the body, in order; however it ends, the answer says how many.
 *   P2. Each part of the body waits for room, also the record that its end completes (G2 of ingest.ts).
 * @module
 */
import { CodedError } from '../../sdk/errors.ts'
import type { Ingest } from './ingest.ts'
import type { ReadRecord, RecordReader } from './record-reader.ts'

/**
 * @param onTaken Called as records are accepted.
 * @returns How many records were accepted: all.
 * @throws {CodedError} with `accepted` in its detail.
 */
export async function publish(
  ingest: Ingest,
  stream: string,
  chunks: AsyncIterable<Uint8Array>,
  reader: RecordReader,
  signal: AbortSignal,
  onTaken: (records: number) => void,
): Promise<number> {
  let accepted = 0
  const take = (records: Iterable<ReadRecord>): void => {
    const batch = ingest.batch(stream)
    try {
      for (const record of records) {
        if (record.partition !== undefined) ingest.mustHave(stream, record.partition)
        batch.add(record, record.partition)
      }
    } finally {
      batch.flush()
      accepted += batch.sent
      onTaken(batch.sent)
    }
  }
  const takeInRoom = async (records: Iterable<ReadRecord>): Promise<void> => {
    signal.throwIfAborted()
    await ingest.room(stream, signal)
    take(records)
  }
  try {
    for await (const chunk of chunks) await takeInRoom(reader.push(chunk))
    const last = [...reader.end()]
    if (last.length > 0) await takeInRoom(last)
    return accepted
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    throw new CodedError(error.code, error.message, { cause: error, detail: { ...error.detail, accepted } })
  }
}
