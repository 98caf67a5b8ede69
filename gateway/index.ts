/** The front door of the gateway, for tests of the whole and for what is made from its API. */
export { type GatewayErrorCode, gatewayErrors } from './errors.ts'
export { type Gateway, type GatewayOptions, startGateway } from './gateway.ts'
