/** The front door of bundles/: the code of functions, and their assets, kept under their hash. */
export { type Assets, hasHash, openAssets } from './assets.ts'
export { type Bundles, openBundles, type StoredBundle } from './bundles.ts'
export { ensureBundleStream } from './objects.ts'
