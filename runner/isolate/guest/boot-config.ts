/**
 * BootConfig: the configuration that an isolate gets once (sdk/runtime/isolate-main.ts).
 * @module
 */

import type { BootConfig } from '../../../sdk/runtime/index.ts'
import { firstArena } from '../../../sdk/wire/arenas.ts'
import { outputTable } from '../outcome/output-table.ts'
import type { IsolateOptions } from '../types.ts'

/** @param inputs The input streams, in the order in which a batch's table counts them. */
export function bootConfigOf(options: IsolateOptions, inputs: readonly string[]): BootConfig {
  const { manifest, nowMs, version, instance, outputs, assets, replaces, onTrial, format } = options
  return {
    function: options.function,
    ...{ version, instance },
    env: manifest.env,
    args: manifest.args,
    nowMs,
    logLevel: manifest.logLevel,
    policy: manifest.onError,
    inputs,
    arenas: inputs.map((stream) => firstArena(manifest.istreams[stream]?.grouping)),
    outputs: outputTable(manifest, outputs),
    outputBytesPerRecord: manifest.limits.outputBytesPerRecord,
    stateBytesMax: manifest.limits.stateMib * 2 ** 20,
    ...(assets === undefined || assets.size === 0
      ? {}
      : { assets: Object.fromEntries([...assets].map(([name, { sha256 }]) => [name, sha256])) }),
    ...(replaces === undefined ? {} : { replaces }),
    ...(onTrial === undefined ? {} : { onTrial }),
    ...(format === undefined ? {} : { format }),
  }
}
