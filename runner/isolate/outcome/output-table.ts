/**
 * OutputTable: the table by which runtime and host number the output streams.
 * @module
 */
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import type { OutputConfig } from '../../../sdk/runtime/index.ts'
import type { Outputs } from '../types.ts'

/** The table of output streams, as runtime and reader count them: the manifest's order. */
export function outputTable(manifest: Manifest, outputs: Outputs): OutputConfig[] {
  return manifest.ostreams.map((name) => {
    const { partitions, keyed } = outputs[name] ?? { partitions: 1, keyed: true }
    return { name, partitions, keyed }
  })
}
