/**
 * Main: the scaling demo, `npm run demo -- --scale`: a day's traffic in a minute, through a function that is scaled
 * by its policy.
 * @module
 */
import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { endPlatform } from '../ending.ts'
import type { DemoOptions } from '../options.ts'
import { Platform } from '../platform.ts'
import type { Screen } from '../screen.ts'
import { runDay } from './day.ts'
import { daySvg, dayText, figuresOf } from './report.ts'

/** @returns The exit code. */
export async function scaleDemo(options: DemoOptions, screen: Screen, signal: AbortSignal): Promise<number> {
  const { seconds, svg, json, keep } = options
  const platform = await Platform.create()
  try {
    const client = await screen.step('Starting the platform', () => platform.start())
    signal.throwIfAborted()
    const project = new URL('./function', import.meta.url)
    await screen.step('Deploying desk, which may have 1 to 8 instances', () =>
      platform.deploy(project, [], signal),
    )
    screen.note(`A day in ${seconds} s, at most ${options.rate ?? peakDefault} orders a second`)
    const day = await runDay({
      ...{ client, seconds, peak: options.rate ?? peakDefault, signal },
      onLook: (look, time) => screen.look(look, time),
    })
    await writeFile(svg, daySvg(day, seconds))
    const figures = figuresOf(day)
    process.stdout.write(`${json ? JSON.stringify(figures) : dayText(day)}\n`)
    screen.note(
      `Drawn in ${resolve(svg)}.${keep ? '' : ' With --keep, the platform stays to tell why it scaled.'}`,
    )
    return figures.lost === 0 && figures.wrong === 0 ? 0 : 1
  } finally {
    await endPlatform(platform, screen, { keep: keep && !signal.aborted, commands: worthALook })
  }
}

const peakDefault = 1500
const worthALook = [
  'concord fn scale desk --why                (each change of the number, and the reason)',
  'concord fn inspect desk',
]
