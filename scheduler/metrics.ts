/**
 * Metrics: the scheduler's own metrics, besides those of every process.
 *
 *   SE1. What is counted of a function is forgotten with it, and its labels have few values: functions may come and go for years.
 * @module
 */
import { exitCodes } from '../infra/control/messages/exit-codes.ts'
import { Counter, Gauge, type Registry } from '../infra/metrics.ts'
import { type Action, type Event, type InstanceEnd, type State, takenBy } from './core/index.ts'
import type { Resources, TaskCondition } from './engine.ts'

const mib = 2 ** 20

/** Why instances end: the exit reasons of runners, and what else is known; a signal has its number. */
const reasons: ReadonlySet<string> = new Set<string>([
  ...Object.keys(exitCodes),
  ...(['silent', 'disk'] as const),
  ...(['exited', 'dropped', 'notStarted', 'refused', 'lost'] satisfies TaskCondition[]),
])

export class SchedulerMetrics {
  readonly #events: Counter<'kind'>
  readonly #actions: Counter<'kind'>
  readonly #ends: Counter<keyof InstanceEnd>
  /** By function: the labels of its ends. */
  readonly #ended = new Map<string, InstanceEnd[]>()

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
    this.#ends = new Counter({
      name: 'concord_scheduler_instance_ends_total',
      help: 'Ends of instances, by function, reason (functionFailed, memory, signal 9, silent, lost …) and verdict: wanted, failed, nobodysFault, neverRan, calledOff.',
      labelNames: ['function', 'reason', 'verdict'],
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
      help: 'Instances, by function and state: waiting, launching, starting, running, draining, backingOff, crashLooping. Only `running` is shown with 0.',
      labelNames: ['function', 'state'],
      registers,
      collect() {
        this.reset()
        for (const fn of state().functions.values()) {
          this.inc({ function: fn.name, state: 'running' }, 0)
          for (const slot of fn.slots) this.inc({ function: fn.name, state: slot.phase })
        }
      },
    })
    new Gauge({
      name: 'concord_scheduler_instances_wanted',
      help: 'Instances that are wanted, by function.',
      labelNames: ['function'],
      registers,
      collect() {
        this.reset()
        for (const [name, { document }] of state().wanted.functions)
          this.set({ function: name }, document.deleted ? 0 : document.instances)
      },
    })
    new Gauge({
      name: 'concord_scheduler_quota',
      help: 'What the tasks of the namespace use of the cluster together (`used`: what they were given), and what they may (`allowed`; absent where quota sets none), by resource: cpus, mem_bytes, disk_bytes.',
      labelNames: ['resource', 'type'],
      registers,
      collect() {
        this.reset()
        const { quota, tasks } = state()
        for (const [type, what] of [['used', takenBy(tasks.values())] as const, ['allowed', quota] as const])
          for (const [resource, amount] of amountsOf(what)) this.set({ resource, type }, amount)
      },
    })
  }

  count(event: Event, actions: readonly Action[]): void {
    this.#events.inc({ kind: event.kind })
    for (const action of actions) {
      this.#actions.inc({ kind: action.kind })
      if (action.kind === 'log' && action.end !== undefined) this.#countEnd(action.end)
      if (action.kind === 'removeFunction') this.#forget(action.function)
    }
  }

  #countEnd(end: InstanceEnd): void {
    const reason = reasons.has(end.reason) || /^signal \d{1,2}$/.test(end.reason) ? end.reason : 'other'
    const labels = { ...end, reason }
    this.#ends.inc(labels)
    const others = this.#ended.get(end.function) ?? []
    if (!others.some((one) => one.reason === reason && one.verdict === end.verdict))
      this.#ended.set(end.function, [...others, labels])
  }

  #forget(name: string): void {
    for (const labels of this.#ended.get(name) ?? []) this.#ends.remove({ ...labels })
    this.#ended.delete(name)
  }
}

function amountsOf({ cpus, memMib, diskMib }: Partial<Resources>): (readonly [string, number])[] {
  const all = [
    ['cpus', cpus],
    ['mem_bytes', memMib === undefined ? undefined : memMib * mib],
    ['disk_bytes', diskMib === undefined ? undefined : diskMib * mib],
  ] as const
  return all.flatMap(([resource, amount]) => (amount === undefined ? [] : [[resource, amount] as const]))
}
