/**
 * concord version: prints the version.
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { print, printJson } from '../terminal.ts'

export function addVersion(program: CliCommand, installation: Installation): void {
  program
    .command('version')
    .description('Print the versions of the CLI and of Node.')
    .printsData()
    .action(async ({ json }: CommonOptions) => {
      const version = versionOf(installation)
      await (json
        ? printJson({ version, node: process.versions.node })
        : print(`concord ${version} (Node ${process.versions.node})`))
    })
}

export function versionOf({ root }: Installation): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version
}
