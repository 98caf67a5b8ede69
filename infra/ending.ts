/**
 * Ending: how a process of the platform is asked to end, and what it says and with which exit code it ends after an
 * error.
 *
 *   EN1. Exit code 2 means that another start cannot succeed before somebody changes a setting or frees a port, so
 *        systemd does not restart the process (infra/deploy/systemd). Every other failure is 1.
 * @module
 */
import { CodedError } from '../sdk/errors.ts'

const needsSomebody =
  /^ERR_(CONFIG_|GATEWAY_CONFIGURATION|SCHEDULER_CONFIG|GATEWAY_PORT_TAKEN|PORT_TAKEN|USAGE|NATS_(REFUSED|PAYLOAD|TLS)|STORE_(URL|REFUSED|MODULE)|OTHER_(STORE|NAMESPACE)|MASTERS_URL|RUNNER_ARCHIVE)/

/** The exit code after an error (EN1). */
export function exitCodeOf(error: unknown): 1 | 2 {
  return error instanceof CodedError && needsSomebody.test(error.code) ? 2 : 1
}

/** Writes the error that ends the process to its log, whatever the log's level: the last line, with the code. */
export function sayFatal(name: 'gateway' | 'scheduler', error: unknown): void {
  const what =
    error instanceof CodedError
      ? { code: error.code, msg: error.message }
      : { code: 'ERR_UNEXPECTED', msg: String(error), stack: (error as Error | undefined)?.stack }
  process.stderr.write(`${JSON.stringify({ level: 'fatal', name, ...what })}\n`)
}

/**
 * Waits for SIGTERM or SIGINT; with CONCORD_PARENT=stdin also for the end of stdin, whose other end the parent holds.
 * Further signals are ignored: the process is ending.
 * @returns The name of the signal, or that the parent is gone.
 */
export function askedToEnd(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  if (process.env['CONCORD_PARENT'] === 'stdin') {
    process.stdin.on('error', () => {}) // `close` follows
    process.stdin.once('close', () => resolve('the parent is gone')).resume()
  }
  return promise
}
