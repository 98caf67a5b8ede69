/**
 * The benchmarks there are. A new one is a file beside this, and a line here.
 * @module
 */

import { checkpoint } from './checkpoint.ts'
import { clicks } from './clicks.ts'
import { density } from './density.ts'
import { freeze } from './freeze.ts'
import { latency } from './latency.ts'
import { limits } from './limits.ts'
import { loglab } from './loglab.ts'
import { offers } from './offers.ts'
import { overload } from './overload.ts'
import { placement } from './placement.ts'
import { poison } from './poison.ts'
import { scale } from './scale.ts'
import { state } from './state.ts'
import type { Benchmark } from './suite/benchmark.ts'
import { swap } from './swap.ts'
import { tax } from './tax.ts'
import { throughput } from './throughput.ts'
import { typed } from './typed.ts'

export const benchmarks: readonly Benchmark[] = [
  throughput,
  latency,
  tax,
  state,
  typed,
  checkpoint,
  swap,
  scale,
  density,
  freeze,
  limits,
  clicks,
  loglab,
  placement,
  offers,
  overload,
  poison,
]
