/** Scaling: policies, the decision, what is foreseen, and the simulation of all three. */
export { chartSvg, chartText, type Row } from './chart.ts'
export { decide, windowMs } from './decide.ts'
export { Forecast, type LearnedShape } from './forecast.ts'
export type { LoadSample } from './need.ts'
export { instancesMax, type ScalePolicy, type ScalePolicyInput, scaleSettingsSchema } from './policy.ts'
export { type Load, ofDay, readLoad, shapes, withNoise } from './shapes.ts'
export { type Outcome, type Plant, type Second, simulate } from './simulate.ts'
