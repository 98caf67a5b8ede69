/**
 * Writes docs/reference/metrics.md from the registries of the processes: `node test/style/metrics-reference.ts`. A test keeps
 * the two equal.
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeMetrics } from '../../gateway/metrics.ts'
import { makeRegistry, Registry } from '../../infra/metrics.ts'
import { runnerRegistry } from '../../runner/host/metrics.ts'
import { SchedulerMetrics } from '../../scheduler/metrics.ts'
import { root } from './sources.ts'

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
  const scheduler = new Registry()
  new SchedulerMetrics(scheduler, unused)
  const ofAll = metricsOf(makeRegistry(''))
  const common = new Set(ofAll.map(({ name }) => name))
  const gateway = metricsOf(makeMetrics().registry).filter(({ name }) => !common.has(name))
  return `${[
    '# Metrics',
    'Made from the code by `node test/style/metrics-reference.ts`: change it there.',
    `Every process shows what it counts to Prometheus, as text, at \`/metrics\`:

| process | where | from the start |
| --- | --- | --- |
| gateway | \`GET /metrics\` of its URL, with the bearer token as for all else | yes |
| scheduler | a port of its own on loopback: \`scheduler.port\` ([settings](settings.md)) | yes |
| runner | a port of its own on loopback, any free one: \`metricsUrl\` of its instances in \`concord fn inspect NAME --json\`; those that share a runner have the same | when its instances run |

Runners come and go, so a scraper has to be told of them again and again; this makes a file for \`file_sd_configs\`, on each machine that has runners:

\`\`\`sh
for name in $(concord fn ls --json | jq -r '.[].name'); do concord fn inspect "$name" --json; done |
  jq -s '[.[].instances[].metricsUrl // empty | ltrimstr("http://") | rtrimstr("/metrics")] | unique | [{ targets: . }]' > runners.json
\`\`\`

\`\`\`yaml
scrape_configs:
  - job_name: concord-gateway
    authorization: { credentials_file: /etc/concord/token }
    static_configs: [{ targets: ['gateway.example:8080'] }]
  - job_name: concord-scheduler
    static_configs: [{ targets: ['127.0.0.1:9100'] }] # CONCORD_SCHEDULER_PORT=9100
  - job_name: concord-runners
    file_sd_configs: [{ files: [runners.json], refresh_interval: 15s }]
\`\`\`

Worth an alarm: \`concord_runner_errors_total\` and \`concord_runner_state_lost\` that grow, \`concord_runner_memory_bytes\` (its sum) near
\`concord_runner_memory_bound_bytes\`, a \`concord_runner_checkpoint_time_seconds\` that stands still, \`concord_scheduler_connected\` of 0 at the scheduler that leads.`,
    '## Runner',
    table(metricsOf(runnerRegistry(() => [], unused))),
    '## Gateway',
    table(gateway),
    '## Scheduler',
    table(metricsOf(scheduler)),
    '## Gateway and scheduler: Node and the process',
    'With the label `process`, which all others of the two have as well.',
    table(ofAll),
  ].join('\n\n')}\n`
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
