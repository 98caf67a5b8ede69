import assert from 'node:assert/strict'
import { test } from 'node:test'
import { idleCost } from './idle.ts'
import { Place } from './place.ts'

test('idleCost tells what an instance adds to its runner', { timeout: 60_000 }, async () => {
  const place = await Place.open()
  try {
    const { baseBytes, eachBytes } = await idleCost(place, 24)
    assert.ok(baseBytes > 40e6 && baseBytes < 200e6, `${baseBytes}`)
    assert.ok(eachBytes > 0.5e6 && eachBytes < 4e6, `${eachBytes}`)
  } finally {
    await place.close()
  }
})
