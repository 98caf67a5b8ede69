/**
 * Links between our documents: each leads to a file that there is, and to a heading that it has. So do sources named in them, and
 * documents named in the comments of sources.
 * @module
 */
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { listFiles, readSource, root } from './sources.ts'

/** What an answer is made of: `FILE: LINK`. */
export function brokenLinks(): readonly string[] {
  return listFiles('**/*.md').flatMap((file) =>
    linksIn(prose(readSource(file)))
      .filter((link) => !leadsSomewhere(file, link))
      .map((link) => `${file}: ${link}`),
  )
}

/** Sources that a document names in its text and that are not there (any more): `FILE: NAME`. */
export function lostSources(): readonly string[] {
  const sources = listFiles('**/*.ts', '**/*.mjs').map((path) => `/${path}`)
  return listFiles('**/*.md')
    .filter((file) => file !== 'docs/tutorial.md') // it names files of its reader's
    .flatMap((file) =>
      [...prose(readSource(file)).matchAll(/`(?:\.\.\/)*([\w/.-]+\.(?:ts|mjs))`/g)]
        .map(([, name]) => name!)
        .filter((name) => !name.startsWith('dist/') && !sources.some((path) => path.endsWith(`/${name}`)))
        .map((name) => `${file}: ${name}`),
    )
}

/** Documents that a comment names by their path and that are not there (any more): `FILE: NAME`. */
export function lostDocuments(): readonly string[] {
  return listFiles('**/*.ts', '**/*.mjs').flatMap((file) =>
    [...readSource(file).matchAll(/^ *(?:\/\*\*|\*|\/\/).*?\b(docs\/[\w/-]+\.md)/gm)]
      .map(([, name]) => name!)
      .filter((name) => !existsSync(join(root, name)))
      .map((name) => `${file}: ${name}`),
  )
}

function leadsSomewhere(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const to = path === '' ? from : normalize(join(dirname(from), decodeURI(path)))
  if (!existsSync(join(root, to))) return false
  return anchor === undefined || !to.endsWith('.md') || anchorsOf(readSource(to)).includes(anchor)
}

function linksIn(text: string): string[] {
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link!)
    .filter((link) => !/^[a-z]+:/.test(link))
}

/** As GitHub makes them: https://docs.github.com/en/get-started/writing-on-github (section links). */
function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>()
  return [...prose(text).matchAll(/^#+ +(.+)$/gm)].map(([, heading]) => {
    const anchor = heading!
      .toLowerCase()
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-')
    const before = seen.get(anchor) ?? 0
    seen.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
}

/** Without blocks of code. */
function prose(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '')
}
