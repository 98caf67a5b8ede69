/** The door to `nearest`: the configuration of the platform names the nearest known key as well. */
export { nearest } from './cli/nearest.ts'
