import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions, UsageError } from './options.ts'

test('readOptions gives defaults and takes every flag', () => {
  const defaults = {
    input: undefined,
    records: 50_000,
    seed: 1,
    rate: undefined,
    scale: false,
    swap: false,
    seconds: 60,
    svg: 'scale-demo.svg',
    json: false,
    keep: false,
    help: false,
  }
  assert.deepEqual(readOptions([]), defaults)
  assert.deepEqual(
    readOptions([
      '--input',
      'a.gz',
      '--records',
      '7',
      '--seed',
      '0',
      '--rate',
      '100',
      '--scale',
      '--seconds',
      '20',
      '--svg',
      'day.svg',
      '--json',
      '--keep',
      '-h',
    ]),
    {
      ...{ input: 'a.gz', records: 7, seed: 0, rate: 100, json: true, keep: true, help: true },
      ...{ scale: true, swap: false, seconds: 20, svg: 'day.svg' },
    },
  )
})

test('readOptions refuses what it does not know, what is no whole number, and what does not go together', () => {
  for (const args of [
    ['--imput', 'x'],
    ['file.log'],
    ['--records', '0'],
    ['--records', '1e3'],
    ['--rate', 'fast'],
    ['--seed', '-1'],
    ['--seconds', '4'],
    ['--swap', '--scale'],
    ['--swap', '--input', 'access.log'],
  ]) {
    assert.throws(() => readOptions(args), UsageError, args.join(' '))
  }
})
