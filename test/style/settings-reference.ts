/**
 * Writes docs/reference/settings.md from infra/config: `node test/style/settings-reference.ts`. A test keeps the two equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Setting, settings } from '../../infra/config/schema.ts'
import { root } from './sources.ts'

export const path = 'docs/reference/settings.md'

/** The whole page. */
export function settingsReference(): string {
  const groups = Map.groupBy(settings, ({ key }) => (key.includes('.') ? key.split('.')[0]! : 'platform'))
  return `${[
    '# Settings',
    'Generated from the code by `node test/style/settings-reference.ts`; change it there.',
    `These settings configure the gateway, the scheduler and \`concord up\`. A function's own settings are in [its manifest](../functions.md#configuration).

A value comes from the environment; else from a file of JSON with comments (\`CONCORD_CONFIG\`, else \`config.jsonc\` in the state folder); else it
has the default shown here. [\`concord config\`](cli.md#concord-config) shows each value and its origin; secrets are masked. A name in braces
stands for the value of that setting. [Operations](../operations.md) explains the settings of a cluster.`,
    '```jsonc\n{ "gateway": { "port": 9000 }, "log": { "level": "debug" } } // gateway.port is CONCORD_GATEWAY_PORT in the environment\n```',
    ...[...groups].flatMap(([group, members]) => [`## ${group}`, table(members)]),
  ].join('\n\n')}\n`
}

function table(members: readonly Setting[]): string {
  const rows = members.map((setting) => {
    const { key, env, description } = setting
    return `| \`${key}\` | \`${env}\` | ${defaultOf(setting)} | ${description} |`
  })
  return ['| setting | environment | default | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function defaultOf({ type }: Setting): string {
  const { data } = type.safeParse(undefined)
  return data === undefined ? '' : `\`${String(data)}\``
}

if (import.meta.main) writeFileSync(join(root, path), settingsReference())
