/** The front door of config. */
export { type ConfigErrorCode, configErrors } from './errors.ts'
export {
  type ConfigSources,
  describeOrigin,
  homeIn,
  type LoadedConfig,
  loadConfig,
  type Origin,
} from './load.ts'
export { type Config, configSchema, type Setting, settings } from './schema.ts'
