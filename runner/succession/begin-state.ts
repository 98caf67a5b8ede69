/**
 * BeginState: checks that an instance can use the state with which it starts. No version is at work yet that could migrate it and
 * so make room for a new format (docs/design/0032-migrate.md).
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { IsolateErrorCode, SingleIsolate } from '../isolate/index.ts'

/**
 * @param end Ends what else belongs to the isolate, if it does not start.
 * @throws {CodedError} ERR_INIT_FAILED if the version cannot use the state: it would fail at each record that touches
 *   it
 */
export async function beginState(
  isolate: SingleIsolate,
  { function: name, version }: FunctionAssignment,
  end: () => void,
): Promise<void> {
  await isolate.settleFormat()
  const { locked } = isolate.stats()
  if (locked === 0) return
  isolate.kill()
  end()
  throw new CodedError<IsolateErrorCode>(
    'ERR_INIT_FAILED',
    `Cannot start version ${version} of ${name}: it can have nothing of the state of ${locked} partitions, which is in a newer format, or in as many older ones ` +
      `as there may be. No record was given to it. Go back to the version before (\`concord fn rollback ${name}\`), and deploy anew when \`concord fn inspect ${name}\` shows nothing left to migrate`,
  )
}
