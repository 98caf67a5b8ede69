export { effectsCrc } from './effects.ts'
export { callMsMax, replay } from './replay.ts'
export { runtimeText } from './runtime-text.ts'
export {
  parseTap,
  type TapChapter,
  type TapEntry,
  type TapFile,
  type TapState,
  tapRecords,
  tapText,
} from './tap.ts'
