/** The front door of the bus: connection, subjects, and the two ends of a channel. */
export type { Claim } from './claim.ts'
export { type BusOptions, connectBus, inboxOf, type NatsConnection } from './connect.ts'
export {
  Consumer,
  type ConsumerOptions,
  type Mark,
  type TakenFrame,
  windowBytesDefault,
} from './consumer.ts'
export type { StatePositions } from './contained.ts'
export { giveBackMemory, takeMemory } from './frame-memory.ts'
export { connectWire, type NatsWire } from './nats-wire.ts'
export {
  addCounts,
  addLedgers,
  bufferBytesMaxDefault,
  originOf,
  Producer,
  type ProducerOptions,
} from './producer.ts'
export * as subjects from './subjects.ts'
export { startTail, type TailOptions } from './tail.ts'
export type { Wire } from './wire.ts'
