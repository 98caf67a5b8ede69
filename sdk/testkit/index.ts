export {
  type Output,
  type Seen,
  type SeenError,
  type SeenTimer,
  type SendOptions,
  type TestKit,
  type TestKitOptions,
  testKit,
} from './testkit.ts'
