/**
 * Letters: dead letters for the gateway's tests, written as a runner writes them.
 * @module
 */
import { jetstream } from '@nats-io/jetstream'
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import {
  type Letter,
  LetterBlock,
  lettersStream,
  marksStream,
  newLetter,
} from '../../infra/dead-letters/index.ts'
import { namespace, until } from './platform.ts'

export interface GivenLetter {
  readonly key: string
  readonly value?: Uint8Array
  readonly error?: string
  readonly failedAtMs?: number
  readonly sequence?: number
  readonly partition?: number
  readonly timer?: NonNullable<Letter['timer']>
}

/** Waits until the gateway has made the streams of dead letters. */
export async function letterStreams(nc: NatsConnection): Promise<void> {
  const { streams } = await jetstream(nc).jetstreamManager()
  for (const stream of [lettersStream(namespace), marksStream(namespace)])
    await until('the streams of dead letters are there', () => streams.info(stream).catch(() => undefined))
}

/** Writes letters of one message. @returns Its sequence. */
export async function writeLetters(
  nc: NatsConnection,
  functionName: string,
  stream: string,
  given: readonly GivenLetter[],
  ns = namespace,
): Promise<number> {
  const letters = given.map(
    ({
      key,
      value,
      error = 'no',
      failedAtMs = 1000,
      sequence = 0,
      timer,
      partition = timer?.arena ?? 0,
    }): Letter => ({
      record: { key: Buffer.from(key), value: value ?? Buffer.from(`value of ${key}`), timeMs: 77 },
      error: {
        name: 'RangeError',
        message: error,
        stack: `RangeError: ${error}\n    at f.ts:8:3`,
        at: 'f.ts:8:3',
      },
      ...{ stream, partition, producer: '00000000000000aa', sequence, attempts: 3, failedAtMs },
      ...(timer && { timer }),
    }),
  )
  const subject = subjects.deadLetterSubject(ns, functionName, letters.length)
  const block = new LetterBlock(functionName, 4)
  for (const letter of letters) block.add(newLetter(letter))
  return (await jetstream(nc).publish(subject, block.take()[0]!.bytes)).seq
}
