/**
 * How the sink receives: the counterpart of senders.ts.
 * @module
 */
import { Consumer, connectWire, giveBackMemory, type Wire } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { headerBytesV1, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { namespace } from '../stage/runner.ts'
import { receivedSubject, type Transport, windowRecords } from './senders.ts'
import { keyBytes, partitions } from './workload.ts'

/** Called for each record, with where it and its value begin; answers which producer it came from. */
export type OnRecord = (partition: number, view: DataView, valueAt: number, recordAt: number) => number

export interface ReceiverOptions {
  readonly url: string
  readonly transport: Transport
  readonly stream: string
  readonly onRecord: OnRecord
  /** Called after each lot. */
  readonly onLot: () => void
}

/** A producer hears of its records after so many. */
const tellEvery = windowRecords / 16

/** Resolves when the server knows what to send here. */
export async function openReceiver(options: ReceiverOptions): Promise<void> {
  const wire = await connectWire({ url: options.url, name: 'bench-sink' })
  if (options.transport === 'channel') receiveChannel(wire, options)
  else receiveBare(wire, options)
  await wire.flush()
}

function receiveChannel(wire: Wire, { stream, onRecord, onLot }: ReceiverOptions): void {
  const consumer = new Consumer({
    wire,
    namespace,
    name: 'sink',
    epoch: 1,
    clock: systemClock,
    onFrames: () => setImmediate(drain),
  })
  consumer.own(
    stream,
    Array.from({ length: partitions }, (_, p) => p),
  )

  function drain(): void {
    for (let taken = consumer.take(1 << 20); taken.length > 0; taken = consumer.take(1 << 20)) {
      for (const frame of taken) {
        walk(frame.bytes, frame.header.headerBytes, frame.header.count, frame.partition, onRecord)
        consumer.done(frame, frame.header.count)
        giveBackMemory(frame.bytes)
      }
      consumer.acknowledge()
    }
    onLot()
  }
}

function receiveBare(wire: Wire, { transport, stream, onRecord, onLot }: ReceiverOptions): void {
  const received = [0, 0]
  const told = [0, 0]
  let waiting = false
  const count: OnRecord = (partition, view, valueAt, recordAt) => {
    const producer = onRecord(partition, view, valueAt, recordAt)
    received[producer]! += 1
    return producer
  }
  for (let partition = 0; partition < partitions; partition++) {
    wire.subscribe(`${namespace}.${stream}.${partition}`, (data) => {
      if (transport === 'messages') count(partition, viewOf(data), keyBytes, 0)
      else walk(data, headerBytesV1, viewOf(data).getUint32(28, true), partition, count)
      giveBackMemory(data)
      if (!waiting) setImmediate(tell)
      waiting = true
    })
  }

  /** After each read of the socket. */
  function tell(): void {
    waiting = false
    for (const [index, records] of received.entries()) {
      if (records - told[index]! < tellEvery) continue
      told[index] = records
      wire.publish(receivedSubject(index), Buffer.from(String(records)))
    }
    onLot()
  }
}

function walk(
  bytes: Uint8Array,
  headerBytes: number,
  count: number,
  partition: number,
  onRecord: OnRecord,
): void {
  const view = viewOf(bytes)
  let at = headerBytes
  for (let i = 0; i < count; i++) {
    const valueSize = view.getUint32(at, true)
    const keySize = view.getUint16(at + 4, true)
    onRecord(partition, view, at + recordHeaderBytes + keySize, at)
    at += recordBytes(keySize, valueSize)
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
