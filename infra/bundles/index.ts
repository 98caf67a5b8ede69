/** The front door of bundles/: the code of functions, kept under its hash. */
export { type Bundles, openBundles, type StoredBundle } from './bundles.ts'
