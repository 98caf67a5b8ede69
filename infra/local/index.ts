/** The front door of local/: the platform on one machine. The supervisor itself is a process: up.ts, down.ts. */
export type { Credentials } from './credentials.ts'
export { type Platform, startPlatform } from './platform.ts'
