/** The front door of config. */
export { describeOrigin, homeIn, type LoadedConfig, loadConfig, type Origin } from './load.ts'
export { type Config, type Setting, settings } from './schema.ts'
