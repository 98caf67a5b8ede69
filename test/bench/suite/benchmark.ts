/**
 * Benchmark: what a file of the suite says of itself, and how its runs are made.
 *
 *  B1. In each run Concord and every reference are measured, one after the other, and each run begins with another of
 *      them: what disturbs the machine for a while disturbs all alike.
 *  B2. What was opened is closed, also when a measurement fails.
 *  B3. Lost, repeated and reordered records are added over all runs; a reference that has any is named, since its
 *      figures then mean nothing.
 * @module
 */

export interface Figure {
  readonly title: string
  readonly unit: string
  /** False: it stands in the table without spread and ratio. */
  readonly compared?: boolean
}

export interface Benchmark {
  readonly name: string
  readonly measures: string
  readonly measuresNot: string
  /** By name; the first is the headline. */
  readonly figures: Readonly<Record<string, Figure>>
  /** What Concord's row of the table says. */
  readonly subject: string
  /** By name, what their rows say. */
  readonly references: Readonly<Record<string, string>>
  /** Records of a run, where the benchmark has a use for `--records`. */
  readonly recordsDefault?: number
  open(settings: Settings): Promise<Stage>
}

export interface Settings {
  readonly runs: number
  readonly records: number
  /** The references to measure. */
  readonly references: readonly string[]
  /** A file of real input. */
  readonly input?: string
}

/** Everything set up: servers, load, whatever is shared by the runs. */
export interface Stage {
  /** @param side `subject` or the name of a reference. */
  measure(side: string, run: number): Promise<Sample>
  close(): Promise<void>
}

export const subject = 'concord'

export interface Sample {
  /** By figure; a side need not have all. */
  readonly values: Readonly<Record<string, number | undefined>>
  /** Of a reference with which the subject took turns within the measurement: the subject's value over its own, by figure. */
  readonly ratios?: Readonly<Record<string, number>>
  readonly checks?: Checks
}

export interface Checks {
  readonly lost: number
  readonly repeated: number
  readonly reordered: number
}

export function addChecks(a: Checks, b: Checks): Checks {
  return {
    lost: a.lost + b.lost,
    repeated: a.repeated + b.repeated,
    reordered: a.reordered + b.reordered,
  }
}

export interface SideResult {
  readonly label: string
  /** By figure, a value a run. */
  readonly values: Readonly<Record<string, readonly number[]>>
  /** By figure, a ratio a run, where the subject took turns with this side. */
  readonly ratios: Readonly<Record<string, readonly number[]>>
  readonly checks: Checks
}

export interface Result {
  readonly benchmark: Benchmark
  readonly runs: number
  readonly concord: SideResult
  readonly references: Readonly<Record<string, SideResult>>
}

/** @param onSample Called after each measurement. */
export async function runBenchmark(
  benchmark: Benchmark,
  settings: Settings,
  onSample: (run: number, side: string, sample: Sample) => void = () => undefined,
): Promise<Result> {
  const sides = [subject, ...settings.references]
  const samples = new Map<string, Sample[]>(sides.map((side) => [side, []]))
  const stage = await benchmark.open(settings)
  try {
    for (let run = 0; run < settings.runs; run++) {
      for (let i = 0; i < sides.length; i++) {
        const side = sides[(i + run) % sides.length]!
        const sample = await stage.measure(side, run)
        samples.get(side)!.push(sample)
        onSample(run, side, sample)
      }
    }
  } finally {
    await stage.close()
  }
  const resultOf = (side: string, label: string): SideResult => sideResult(label, samples.get(side)!)
  return {
    benchmark,
    runs: settings.runs,
    concord: resultOf(subject, benchmark.subject),
    references: Object.fromEntries(
      settings.references.map((name) => [name, resultOf(name, benchmark.references[name]!)]),
    ),
  }
}

const none: Checks = { lost: 0, repeated: 0, reordered: 0 }

function sideResult(label: string, samples: readonly Sample[]): SideResult {
  const checks = samples.reduce((total, sample) => addChecks(total, sample.checks ?? none), none)
  return {
    label,
    values: byFigure(samples.map(({ values }) => values)),
    ratios: byFigure(samples.map(({ ratios = {} }) => ratios)),
    checks,
  }
}

function byFigure(samples: readonly Sample['values'][]): Record<string, number[]> {
  const values: Record<string, number[]> = {}
  for (const sample of samples) {
    for (const [figure, value] of Object.entries(sample)) {
      if (value === undefined) continue
      values[figure] ??= []
      values[figure].push(value)
    }
  }
  return values
}
