/** The front door of probe/: what is uploaded is compiled and loaded here, in processes that can be killed. */
export { type Probed, Prober } from './prober.ts'
export { bundleBytesMax, sourceMapBytesMax, type Upload } from './protocol.ts'
