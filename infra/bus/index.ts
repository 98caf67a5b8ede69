/** The front door of the bus: connection, subjects, and the two ends of a channel. */
export type { Claim } from './claim.ts'
export { type BusOptions, connectBus, inboxOf, type NatsConnection } from './connect.ts'
export {
  Consumer,
  type ConsumerOptions,
} from './consumer.ts'
export type { StatePositions } from './contained.ts'
export { dropKeptMemory, giveBackMemory, takeMemory } from './frame-memory.ts'
export type { ChannelPosition, Heritage, Mark } from './in-channel.ts'
export type { TakenFrame } from './in-queue.ts'
export { attemptsAt, nextOf, rememberAttempts } from './in-queue.ts'
export type { Lane, Spill, SpillPlace } from './lane.ts'
export { addLedgers } from './ledgers.ts'
export { connectWire, type NatsWire, type WireOptions } from './nats-wire.ts'
export { originOf } from './origin.ts'
export { bufferBytesMaxDefault, Producer, type ProducerOptions } from './producer.ts'
export * as subjects from './subjects.ts'
export { startTail, type TailOptions } from './tail.ts'
export { type NatsTls, readTls } from './tls.ts'
export { aborted } from './waiters.ts'
export { windowBytesDefault } from './windows.ts'
export type { Wire } from './wire.ts'
