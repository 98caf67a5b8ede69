export { testKit } from './testkit.ts'
export type {
  DeployOptions,
  Output,
  Seen,
  SeenError,
  SeenTimer,
  SendOptions,
  TestKit,
  TestKitOptions,
} from './types.ts'
