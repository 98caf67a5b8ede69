/**
 * Writes docs/reference/metrics.md from the registries of the processes: `node test/style/metrics-reference.ts`. A test keeps
 * the two equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeMetrics } from '../../gateway/metrics.ts'
import { emptyRegistry, makeRegistry, type Registry } from '../../infra/metrics.ts'
import { runnerRegistry } from '../../runner/host/metrics.ts'
import { SchedulerMetrics } from '../../scheduler/metrics.ts'
import { readSource, root } from './sources.ts'

export const path = 'docs/reference/metrics.md'

/** As prom-client keeps them. */
interface Kept {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly labelNames?: readonly string[]
}

/** Of what functions observe the registry knows no labels before there are values. */
const labelsOfObserved = ['function', 'instance', 'metric']

/** The whole page. */
export function metricsReference(): string {
  const unused = (): never => {
    throw new Error('nothing is measured here')
  }
  const namespace = 'default'
  const scheduler = emptyRegistry({ process: 'scheduler', namespace })
  new SchedulerMetrics(scheduler, unused)
  const ofAll = metricsOf(makeRegistry({ process: 'gateway', namespace }))
  const common = new Set(ofAll.map(({ name }) => name))
  const gateway = metricsOf(makeMetrics(namespace).registry).filter(({ name }) => !common.has(name))
  return `${[
    '# Metrics',
    'Generated from the code by `node test/style/metrics-reference.ts`; change it there.',
    `Every process serves Prometheus metrics at \`/metrics\`:

| process | where | available |
| --- | --- | --- |
| gateway | \`GET /metrics\` of its URL, with the bearer token | from the start |
| scheduler | its own port on loopback: \`scheduler.port\` ([settings](settings.md)) | from the start |
| runner | any free port on loopback: \`metricsUrl\` of its instances in \`concord fn inspect NAME --json\`; instances that share a runner have the same | when its instances run |

Runners come and go, so update the scraper's targets regularly. On each machine with runners, this writes a file for \`file_sd_configs\`:

\`\`\`sh
for name in $(concord fn ls --json | jq -r '.[].name'); do concord fn inspect "$name" --json; done |
  jq -s --arg host "$(hostname -f)" '[.[].instances[] | select(.hostname == $host) | .metricsUrl // empty |
    ltrimstr("http://") | rtrimstr("/metrics")] | unique | [{ targets: . }]' > runners.json
\`\`\`

\`hostname\` is the agent's, as \`concord fn why\` shows it; on one machine leave the \`select\` out.

\`\`\`yaml
${readSource('infra/deploy/prometheus/scrape.yml').trimEnd()}
\`\`\`

All metrics also have the labels \`process\` (\`gateway\`, \`scheduler\`, \`runner\`) and \`namespace\`: functions of two namespaces may
have the same name. Without \`honor_labels\` Prometheus would call the label \`instance\` of runners \`exported_instance\`.`,
    '## What is worth an alarm',
    `[alerts.yml](../../infra/deploy/prometheus/alerts.yml) has the rules, and for each what to do;
[Operations](../operations.md#alarms) says what none of them can tell. For any other question about lag, take
\`concord_input_lag_seconds\`, the age of the oldest record that waits (other systems call it consumer lag), and
\`concord_input_records{state="in_flight"}\`, how many do.`,
    alertTable(readSource('infra/deploy/prometheus/alerts.yml')),
    '## Runner',
    table(metricsOf(runnerRegistry(namespace, () => [], unused))),
    '## Gateway',
    `Inputs and dead letters are those of \`concord fn inspect\`, read at most every 10 s; a removed function has dead letters until
they are removed or expire. Every gateway reports all of them, so take
\`max by (namespace, function, stream, state)\`. What is \`unaccounted\` may be an upper bound, and what is \`in_flight\` may be queued on disk.
A gateway that hears nobody over NATS leaves out lag, \`in_flight\` and checkpoints, which are of the present; sums stay as it knows them.`,
    table(gateway),
    '## Scheduler',
    `Of ends of instances, \`verdict\` says what the scheduler takes them for: \`wanted\` (it was asked to end), \`failed\` (of itself, or of a
cause that nobody knows), \`nobodysFault\` (its agent was lost or drained, or another instance ended its runner), \`neverRan\` (its launch
came to nothing), \`calledOff\` (so too, and it had been asked to end). The reasons of runners are those of
[exit codes](../errors.md#exit-codes-of-a-runner).`,
    table(metricsOf(scheduler)),
    '## Gateway and scheduler: Node and the process',
    table(ofAll),
  ].join('\n\n')}\n`
}

function alertTable(rules: string): string {
  const found = rules.matchAll(/- alert: (\w+)$[\s\S]*?^ *(?:for: (\w+)$[\s\S]*?)?summary: '(.*)'$/gm)
  const rows = [...found].map(([, name, time = 'at once', summary]) => {
    const text = summary!.replaceAll(/\{\{ \$(?:labels\.)?(\w+)[^}]*\}\}/g, (_, label) => label.toUpperCase())
    return `| \`${name}\` | ${time} | ${text} |`
  })
  return ['| alert | after | says |', '| --- | --- | --- |', ...rows].join('\n')
}

function metricsOf(registry: Registry): Kept[] {
  return registry.getMetricsAsArray() as unknown as Kept[]
}

function table(metrics: readonly Kept[]): string {
  const rows = metrics.map(({ name, help, type, labelNames = labelsOfObserved }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ')
    return `| \`${name}\` | ${type} | ${labels} | ${help} |`
  })
  return ['| metric | type | labels | is |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

if (import.meta.main) writeFileSync(join(root, path), metricsReference())
