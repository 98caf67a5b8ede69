/**
 * CodeDiff: the difference between the code of two versions, file by file, as unified patches.
 * @module
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff'
import type { VersionSources } from '../../api/sources.ts'
import { cyan, dim, green, red } from '../terminal.ts'

export interface FileChange {
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Absent if the files differ too much to be compared quickly. */
  readonly patch?: string
}

/** The comparison takes time quadratic in the difference: a larger one is only named. */
const patchMsMax = 2_000
/** The head of a patch: both file names. */
const headLines = 2

export function codeChanges(before: VersionSources, after: VersionSources): FileChange[] {
  const paths = [...new Set([...Object.keys(before.files), ...Object.keys(after.files)])].sort()
  return paths.flatMap((path): FileChange[] => {
    const [was, is] = [before.files[path], after.files[path]]
    if (was === is) return []
    const change = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed'
    const names = [
      was === undefined ? '/dev/null' : `a/${path}`,
      is === undefined ? '/dev/null' : `b/${path}`,
    ]
    const patch = createTwoFilesPatch(names[0]!, names[1]!, was ?? '', is ?? '', undefined, undefined, {
      context: 3,
      headerOptions: FILE_HEADERS_ONLY,
      timeout: patchMsMax,
    })
    return [patch === undefined ? { path, change } : { path, change, patch: patch.replace(/\n$/, '') }]
  })
}

/** The patch of a file as text, coloured on a terminal. */
export function fileText({ path, change, patch }: FileChange): string {
  if (patch === undefined) return dim(`${path}: ${change}, and too different to be shown line by line`)
  return patch
    .split('\n')
    .map((line, index) => (index < headLines ? dim(line) : coloured(line)))
    .join('\n')
}

function coloured(line: string): string {
  if (line.startsWith('@@')) return cyan(line)
  if (line.startsWith('+')) return green(line)
  return line.startsWith('-') ? red(line) : line
}
