export { testKit } from './testkit.ts'
export type { Output, Seen, SeenError, SeenTimer, SendOptions, TestKit, TestKitOptions } from './types.ts'
