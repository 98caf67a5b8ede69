/**
 * Globals: the few names of the web that a bundle may touch while it is loaded. They need only be there: what is
 * computed with them at load time for the probe is thrown away with its isolate.
 * @module
 */

export const globalsScript = `'use strict'
globalThis.console = Object.fromEntries(
  ['log', 'debug', 'info', 'warn', 'error', 'trace', 'assert', 'dir', 'table'].map((name) => [name, () => undefined]),
)`
