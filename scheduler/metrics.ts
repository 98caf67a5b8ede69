/**
 * Metrics: the scheduler's own metrics, besides those of every process.
 * @module
 */
import { Counter, Gauge, type Registry } from '../infra/metrics.ts'
import type { Action, Event, State } from './core/index.ts'

export class SchedulerMetrics {
  readonly #events: Counter<'kind'>
  readonly #actions: Counter<'kind'>

  constructor(registry: Registry, state: () => State) {
    const registers = [registry]
    this.#events = new Counter({
      name: 'concord_scheduler_events_total',
      help: 'Events that the core received, by kind.',
      labelNames: ['kind'],
      registers,
    })
    this.#actions = new Counter({
      name: 'concord_scheduler_actions_total',
      help: 'Actions that the core decided, by kind: launch, kill, assign …',
      labelNames: ['kind'],
      registers,
    })
    new Gauge({
      name: 'concord_scheduler_connected',
      help: '1 while subscribed to the cluster.',
      registers,
      collect() {
        this.set(state().engineUp ? 1 : 0)
      },
    })
    new Gauge({
      name: 'concord_scheduler_instances',
      help: 'Instances, by function and state: waiting, launching, starting, running, draining, backingOff, crashLooping.',
      labelNames: ['function', 'state'],
      registers,
      collect() {
        this.reset()
        for (const fn of state().functions.values()) {
          for (const slot of fn.slots) this.inc({ function: fn.name, state: slot.phase })
        }
      },
    })
  }

  count(event: Event, actions: readonly Action[]): void {
    this.#events.inc({ kind: event.kind })
    for (const action of actions) this.#actions.inc({ kind: action.kind })
  }
}
