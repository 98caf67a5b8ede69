/** Scaling: policies, the decision, what is foreseen, and the simulation of all three. */
export { type DecideInput, type Decision, decide, type LoadSample, windowMs } from './decide.ts'
export { Forecast, type LearnedShape } from './forecast.ts'
export {
  boundsAt,
  instancesMax,
  type ScalePolicy,
  type ScalePolicyInput,
  scaleSettingsSchema,
} from './policy.ts'
