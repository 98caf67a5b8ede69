/**
 * Sink: the owner downstream of all workers of a history: what it takes is what the function has put out. Now and then it is slow.
 * @module
 */
import { Consumer } from '../../../infra/bus/index.ts'
import type { SimNet } from '../../../infra/bus/wire/sim-net.ts'
import type { Clock } from '../../../infra/clock.ts'
import { recordsOf } from '../../../sdk/wire/frame.ts'
import { must } from '../../simulation/violation.ts'
import { output, partitions } from './runner.ts'

export class Sink {
  readonly #consumer: Consumer
  /** By partition. */
  readonly #texts = partitions.map((): string[] => [])

  constructor(net: SimNet, clock: Clock) {
    this.#consumer = new Consumer({
      ...{ wire: net.connect(), namespace: 'n', name: output.consumers[0]!.name, epoch: 1, clock },
      onFrames: () => undefined,
    })
    this.#consumer.own(output.name, partitions)
  }

  read(): void {
    for (const frame of this.#consumer.take(Number.POSITIVE_INFINITY)) {
      for (const { value } of [...recordsOf(frame.bytes, frame.header)].slice(frame.skip))
        this.#texts[frame.partition]!.push(new TextDecoder().decode(value))
      this.#consumer.done(frame, frame.header.count - frame.skip)
    }
    this.#consumer.announce()
    this.#consumer.acknowledge()
  }

  /**
   * RW5 and RW6 of life.ts.
   * @param sent How many records the workers were sent.
   * @param counted How many of them need no output.
   */
  judge(sent: number, counted: number): void {
    const texts = this.#texts.flat()
    const missing = sent - new Set(texts).size
    const isOrdered = this.#texts.every((list) =>
      list.every((text, i) => numberOf(text) > numberOf(list[i - 1] ?? '-1')),
    )
    must(isOrdered, 'RW5', () => `put out twice, or not in order: ${texts}`)
    must(
      !texts.some((text) => text.endsWith('bad')),
      'RW5',
      () => `put out by a callback that failed: ${texts}`,
    )
    must(missing <= counted, 'RW6', () => `${missing} not put out, ${counted} accounted for: ${texts}`)
  }
}

function numberOf(text: string): number {
  return Number.parseInt(text, 10)
}
