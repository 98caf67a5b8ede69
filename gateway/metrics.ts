/**
 * Metrics: what a gateway counts, for Prometheus.
 * @module
 */
import { Counter, Gauge, Histogram, makeRegistry, type Registry } from '../infra/metrics.ts'

export interface GatewayMetrics {
  readonly registry: Registry
  readonly requests: Histogram<'method' | 'route' | 'status'>
  readonly published: Counter<'stream'>
  readonly rawTaken: Counter<'stream'>
  readonly rawDropped: Counter<'reason'>
  readonly republished: Counter<'stream'>
  readonly republishDropped: Counter<'stream'>
  readonly deploys: Counter<'outcome'>
  readonly followers: Gauge<'kind'>
  readonly inputRecords: Gauge<'function' | 'stream' | 'state'>
  readonly inputLag: Gauge<'function' | 'stream'>
  readonly inputStateLost: Gauge<'function' | 'stream'>
  readonly inputDropped: Gauge<'function' | 'stream' | 'reason'>
  readonly deadLetters: Gauge<'function' | 'state'>
  readonly checkpointAge: Gauge<'function'>
  readonly checkpointInterval: Gauge<'function'>
  readonly backendUp: Gauge<'backend'>
  readonly schedulerLeads: Gauge
}

export function makeMetrics(namespace: string): GatewayMetrics {
  const registry = makeRegistry({ process: 'gateway', namespace })
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Gauge({ name, help, labelNames, registers })
  return {
    registry,
    requests: new Histogram({
      name: 'concord_http_request_seconds',
      help: 'Time to the head of the response.',
      labelNames: ['method', 'route', 'status'],
      registers,
    }),
    published: counter('concord_published_records_total', 'Records accepted over HTTP.', ['stream']),
    rawTaken: counter('concord_raw_taken_records_total', 'Raw records accepted from NATS.', ['stream']),
    rawDropped: counter(
      'concord_raw_dropped_records_total',
      'Raw records from NATS that were not accepted.',
      ['reason'],
    ),
    republished: counter(
      'concord_republished_records_total',
      'Records of raw streams, published as one message each.',
      ['stream'],
    ),
    republishDropped: counter(
      'concord_republish_dropped_records_total',
      'Records of raw streams that NATS had no room for, or that exceed its max_payload with their key.',
      ['stream'],
    ),
    deploys: counter(
      'concord_deploys_total',
      'Deploys by outcome: changed, unchanged, or the code of the refusal.',
      ['outcome'],
    ),
    followers: gauge('concord_followers', 'Current readers of streams and logs.', ['kind']),
    inputRecords: gauge(
      'concord_input_records',
      'Records of an input, by state: sent, processed, in_flight, unaccounted.',
      ['function', 'stream', 'state'],
    ),
    inputLag: gauge(
      'concord_input_lag_seconds',
      'How long the oldest record in flight to an input has waited; 0: none is. Absent while it is not known.',
      ['function', 'stream'],
    ),
    inputStateLost: gauge(
      'concord_input_state_lost_records',
      'Records of an input that were processed, and whose effects the state lacks.',
      ['function', 'stream'],
    ),
    inputDropped: gauge(
      'concord_input_dropped_records',
      'Records of an input that were dropped, by reason.',
      ['function', 'stream', 'reason'],
    ),
    deadLetters: gauge('concord_dead_letters', 'Dead letters, by state: waiting, redriven.', [
      'function',
      'state',
    ]),
    checkpointAge: gauge(
      'concord_checkpoint_age_seconds',
      'How long ago the newest checkpoint was taken, of the instance whose checkpoint is the oldest. Absent while none runs.',
      ['function'],
    ),
    checkpointInterval: gauge(
      'concord_checkpoint_interval_seconds',
      'The time between two checkpoints that the manifest wants (checkpoint.everyMs).',
      ['function'],
    ),
    backendUp: gauge(
      'concord_gateway_backend_up',
      'Whether a backend answers this gateway, 1 or 0, by backend: nats, jetstream, store.',
      ['backend'],
    ),
    schedulerLeads: gauge(
      'concord_scheduler_leads',
      '1 while a scheduler leads, as far as the store says.',
      [],
    ),
  }
}
