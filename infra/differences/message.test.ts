import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDifferences, encodeDifferences } from './message.ts'

const content = {
  ...{ function: 'score', version: 3, instance: 'score-0' },
  differences: [
    {
      ...{ stream: 's', partition: 1, producer: '00', sequence: 7, key: 'k', valueBase64: '/w==' },
      live: { outputs: [{ stream: 'o', key: 'k', value: '', timeMs: 1 }] },
      shadow: { outputs: [], error: 'Error: no' },
    },
    { timersAtMs: 5, live: { outputs: [] }, shadow: { outputs: [] }, cut: true as const },
  ],
}

test('decodeDifferences reads what encodeDifferences wrote', () => {
  assert.deepEqual(decodeDifferences(encodeDifferences(content)), content)
})

test('decodeDifferences refuses anything else and later schemas, and says what it found (DM1)', () => {
  const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  assert.throws(() => decodeDifferences(bytes({ schema: 2, ...content })), /Cannot read differences.*schema/s)
  assert.throws(() => decodeDifferences(Uint8Array.of(1, 2)), /it is no JSON/)
  assert.throws(() => decodeDifferences(bytes({ schema: 1, function: 'f' })), /Cannot read differences/)
})
