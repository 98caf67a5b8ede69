/**
 * Sink: the owner downstream of all workers of a history: what it takes is what the function has put out. Now and then it is slow.
 * @module
 */
import { Consumer } from '../../../infra/bus/index.ts'
import type { SimNet } from '../../../infra/bus/wire/sim-net.ts'
import type { Clock } from '../../../infra/clock.ts'
import { recordsOf } from '../../../sdk/wire/frame.ts'
import { output, partitions } from './runner.ts'

export class Sink {
  readonly #consumer: Consumer
  /** By partition. */
  readonly #texts = partitions.map((): string[] => [])

  constructor(net: SimNet, clock: Clock) {
    this.#consumer = new Consumer({
      ...{ wire: net.connect(), namespace: 'n', name: 'sink', epoch: 1, clock },
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

  /** Texts of the records whose outputs have come, by partition. */
  get texts(): readonly (readonly string[])[] {
    return this.#texts
  }
}
