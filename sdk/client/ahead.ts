/**
 * Ahead: reads a body a little ahead of its reader.
 *
 *   A1. Bytes that have arrived are delivered before the error that ended the body: a fetch stream discards them when
 *       it breaks.
 *   A2. Beyond those, at most `aheadBytes` and one chunk are held.
 *   A3. The signal ends it even while nothing arrives: fetch itself may lose its signal to garbage collection.
 * @module
 */
const aheadBytes = 256 * 1024

export async function* readAhead(
  body: ReadableStream<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  let bytes = 0
  let end: { readonly error?: unknown } | undefined
  let came: () => void = () => {}
  let went: () => void = () => {}
  const finish = (how: { readonly error?: unknown }): void => {
    end ??= how
    came()
  }
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      chunks.push(value)
      bytes += value.length
      came()
      while (bytes > aheadBytes) await new Promise<void>((resolve) => (went = resolve))
    }
  }
  const abort = (): void => finish({ error: signal?.reason })
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  void read().then(
    () => finish({}),
    (error: unknown) => finish({ error }),
  )
  try {
    for (;;) {
      signal?.throwIfAborted()
      const chunk = chunks.shift()
      if (chunk !== undefined) {
        bytes -= chunk.length
        went()
        yield chunk
      } else if (end === undefined) await new Promise<void>((resolve) => (came = resolve))
      else if ('error' in end) throw end.error
      else return
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    void reader.cancel().catch(() => undefined)
  }
}
