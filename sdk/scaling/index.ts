/** Scaling: policies, the decision, what is foreseen, and the simulation of all three. */
export { chartSvg, chartText, type Row } from './chart.ts'
export { type DecideInput, type Decision, decide, type LoadSample, windowMs } from './decide.ts'
export { Forecast, type LearnedShape } from './forecast.ts'
export {
  boundsAt,
  instancesMax,
  type ScalePolicy,
  type ScalePolicyInput,
  scaleSettingsSchema,
} from './policy.ts'
export { type Load, ofDay, readLoad, type Shape, shapes, withNoise } from './shapes.ts'
export { type Outcome, type Plant, type Second, simulate } from './simulate.ts'
