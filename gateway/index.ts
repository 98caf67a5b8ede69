/** The front door of the gateway, for tests of the whole and for what is made from its API. */
export { type Gateway, startGateway } from './gateway.ts'
