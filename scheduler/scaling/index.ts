/** Scaling: the load of functions, measured, and what the leader wants because of it. */
export { Scaler } from './scaler.ts'
