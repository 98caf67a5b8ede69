import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../clock.ts'
import { Pace } from './pace.ts'

function open() {
  const clock = new ManualClock(10_000)
  let told = 0
  const pace = new Pace(clock, () => {
    told += 1
    pace.told()
  })
  return { clock, pace, told: () => told }
}

test('Pace tells at once after a silence, and then every 5 ms (PA1)', () => {
  const { clock, pace, told } = open()
  pace.soon()
  assert.equal(told(), 1)
  clock.advance(2)
  pace.soon()
  pace.soon()
  assert.equal(told(), 1)
  clock.advance(2)
  assert.equal(told(), 1)
  clock.advance(1)
  assert.equal(told(), 2)
  clock.advance(100)
  assert.equal(told(), 2, 'there was nothing more')
})

test('Pace sends what is due along with what is told anyway, and not again', () => {
  const { clock, pace, told } = open()
  pace.told()
  pace.soon()
  pace.told()
  clock.advance(100)
  assert.equal(told(), 0)
})

test('Pace tells at once when much was done, since the producer may be waiting', () => {
  const { pace, told } = open()
  pace.told()
  pace.add(64 * 1024)
  pace.soon()
  assert.equal(told(), 0)
  pace.add(1)
  pace.soon()
  assert.equal(told(), 1)
  pace.soon()
  assert.equal(told(), 1, 'what was done since counts')
})

test('Pace tells nothing any more once it is closed', () => {
  const { clock, pace, told } = open()
  pace.told()
  pace.soon()
  pace.close()
  clock.advance(100)
  assert.equal(told(), 0)
})
