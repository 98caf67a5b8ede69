/**
 * Rolling: the options of a rolling deploy, and watching its waves.
 * @module
 */
import type { RollingView } from '../../api/rolling.ts'
import type { Project } from '../project/project-shape.ts'

/** Options win over the project's file. */
export function withRolling(project: Project, width: number | undefined): Project {
  if (width === undefined) return project
  const { rollout, ...written } = project.manifest as { rollout?: object }
  return { ...project, manifest: { ...written, rollout: { ...rollout, rolling: width } } }
}

/** Says of each wave of a rolling deploy when it begins. */
export class Waves {
  readonly #tell: (wave: string, text: string) => void
  readonly #told = new Set<string>()
  #last = 0

  constructor(tell: (wave: string, text: string) => void) {
    this.#tell = tell
  }

  /** @returns Whether the wave was not seen before. */
  see({ wave, instances, working, wanted }: RollingView): boolean {
    if (wave === this.#last) return false
    this.#last = wave
    const names = instances.filter((id) => !this.#told.has(id))
    for (const id of names) this.#told.add(id)
    this.#tell(`wave ${wave}`, `${names.join(', ')} (${working} of ${wanted} have it)`)
    return true
  }
}
