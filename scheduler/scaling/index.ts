/** Scaling: the load of functions, measured, and what the leader wants because of it. */
export { LoadMeter } from './load-meter.ts'
export { Scaler } from './scaler.ts'
