import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transcript } from './scripted-master.ts'
import { exitCodeOf, readEvent, updateOf } from './words.ts'

const eventsOf = (name: string) =>
  transcript(name)
    .toString()
    .trim()
    .split('\n')
    .map((line) => readEvent(Buffer.from(line)))

test('updateOf does not take an agent that is out of sight for the end of its tasks', () => {
  const conditions = eventsOf('unreachable.events.jsonl').flatMap((event) => updateOf(event)?.condition ?? [])
  const back = ['running', 'running']
  const gone = ['lost', 'lost'] // the operator said so
  assert.deepEqual(conditions, [
    'pending',
    'running',
    'unsure',
    'unsure',
    'unsure',
    'unsure',
    ...back,
    ...gone,
  ])
})

test('updateOf says which limit a task has passed', () => {
  const updates = eventsOf('limits.events.jsonl').flatMap((event) => updateOf(event) ?? [])
  assert.ok(updates.some((update) => update.exceeded === 'disk' && update.condition === 'exited'))
})

test('exitCodeOf reads the words of the command executor', () => {
  assert.equal(exitCodeOf('Command exited with status 11'), 11)
  assert.equal(exitCodeOf('Command exited with status 18: its last line'), 18) // minimesos adds that
  assert.equal(exitCodeOf('Command terminated with signal Killed'), 137)
  assert.equal(exitCodeOf('Command terminated with signal Segmentation fault (core dumped)'), 139)
  assert.equal(exitCodeOf('Disk usage (39072KB) exceeds quota (10MB)'), undefined)
})
