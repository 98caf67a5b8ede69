/**
 * Install: the globals that a function finds beside the language: the web's common ones, each from the seam.
 * The list is checked in: globals.test.ts in runner/isolate.
 * @module
 */

import type { Seam } from '../callback/seam.ts'
import type { Timeouts } from '../callback/timeouts.ts'
import { wordsOf } from '../outcome/report.ts'
import type { LogLevel } from '../shared/layout.ts'
import { makeConsole } from './console.ts'
import { DOMException } from './dom-exception.ts'
import { atob, btoa, TextDecoder, TextEncoder } from './encoding.ts'
import { freezeFormats, makeDate, makePerformance } from './frozen-time.ts'
import { lockDown } from './lockdown.ts'
import { makeCrypto } from './random.ts'
import { structuredClone } from './structured-clone.ts'
import { URL } from './url.ts'
import { URLSearchParams } from './url-search-params.ts'
import { weighFormats } from './weighed-formats.ts'

export interface Host {
  readonly seam: Seam
  readonly logLevel: LogLevel
  random(): number
  /** Where timeouts are set while a callback runs or waits; undefined when setTimeout is not available. */
  timeouts(): Timeouts | undefined
}

export function installGlobals(global: typeof globalThis, host: Host): void {
  const { seam } = host
  lockDown(global)
  freezeFormats(seam)
  weighFormats()
  const values: Record<string, unknown> = {
    console: makeConsole(seam, host.logLevel),
    crypto: makeCrypto(seam),
    performance: makePerformance(seam),
    Date: makeDate(seam),
    DOMException,
    TextDecoder,
    TextEncoder,
    URL,
    URLSearchParams,
    atob,
    btoa,
    structuredClone,
    ...schedulers(host),
  }
  const plain = { writable: true, configurable: true, enumerable: false }
  for (const name of Object.keys(values))
    Reflect.defineProperty(global, name, { ...plain, value: values[name] })
  Reflect.defineProperty(Math, 'random', { ...plain, value: () => host.random() })
}

function schedulers({ seam, timeouts }: Host): Record<string, unknown> {
  const guarded = (what: string, run: () => void) => () => {
    try {
      run()
    } catch (thrown) {
      seam.print('error', `Uncaught in ${what}: ${wordsOf(thrown)}`)
    }
  }
  return {
    queueMicrotask(callback: unknown) {
      if (typeof callback !== 'function') throw new TypeError('Cannot queue this: expected a function')
      void Promise.resolve().then(guarded('queueMicrotask', () => callback()))
    },
    setTimeout(handler: unknown, delayMs?: unknown, ...args: unknown[]) {
      if (typeof handler !== 'function') throw new TypeError('Cannot set a timeout: expected a function')
      const open = timeouts()
      if (open === undefined) {
        throw new Error(
          'Cannot set a timeout outside of a callback: it is there for asynchronous callbacks; see ctx.setTimer',
        )
      }
      const wait = Math.max(0, Math.trunc(Number(delayMs)) || 0)
      return open.set(
        guarded('setTimeout', () => handler(...args)),
        seam.nowMs + wait,
      )
    },
    clearTimeout(id: unknown) {
      timeouts()?.clear(Number(id))
    },
  }
}
