/**
 * World: a cluster, a store and runners in memory, for the simulation of the core. It loses, delays and refuses
 * messages as the real ones do, and checks the invariants (CC1–CC4 of state.ts, DI2 of directing.ts) after each step.
 * Test equipment.
 * @module
 */
import assert from 'node:assert/strict'
import { type Assignment, assignedVersion } from '../../../infra/control/messages/assignment.ts'
import type { InstanceReport } from '../../../infra/control/messages/heartbeat.ts'
import type {
  CommandDocument,
  FollowerDocument,
  FunctionDocument,
  SeatDocument,
  StatusDocument,
  StreamDocument,
  TaskDocument,
  VersionDocument,
} from '../../../infra/store/index.ts'
import { type ManifestInput, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import type { Offer, Resources, TaskUpdate } from '../../engine.ts'
import type { Action, Event } from '../state/protocol.ts'
import { initialState, type State, type Wanted } from '../state/state.ts'
import { deepFreeze } from './deep-freeze.ts'
import { OwnerCheck } from './owner-check.ts'
import { checkPlace } from './place-check.ts'
import { checkedStep } from './scratch-check.ts'
import { checkSwaps } from './swap-check.ts'
import { hasLeft, heartbeatOf, reportOf, shareOf, toldOf, type WorldInstance } from './world-heartbeats.ts'

export interface Runner {
  readonly document: TaskDocument
  readonly born: number
  generation: number
  /** Working instances, by id. */
  readonly instances: Map<string, WorldInstance>
  /** Last reports of instances that have left. */
  departed: InstanceReport[]
  killed: boolean
  mail: Assignment[]
}

/** The inputs of the simulation's functions that are not broadcast. */
const keyedInputs = ['in']
const agentResources: Resources = { cpus: 4, memMib: 4096, diskMib: 4096, ports: 100 }

export class World {
  nowMs = 1_000_000
  state: State
  readonly agents = new Map<string, Resources>()
  /** Agents that have not registered with the master yet: it ignores what concerns their tasks. */
  readonly away = new Set<string>()
  readonly attributes = new Map<string, Readonly<Record<string, string>>>()
  readonly runners = new Map<string, Runner>()
  readonly offers = new Map<string, Offer>()
  offersWanted = true
  /** No record comes to a canary or a trial. */
  isQuiet = false
  connected = false
  /** Updates on their way to the scheduler. */
  updates: TaskUpdate[] = []
  /** Delivered and not acknowledged: repeated after the next connection. */
  readonly #unacknowledged = new Set<TaskUpdate>()
  readonly actions: Action[] = []
  // The store.
  readonly tasks = new Map<string, TaskDocument>()
  readonly seats = new Map<string, SeatDocument>()
  readonly statuses = new Map<string, StatusDocument>()
  readonly epochs = new Map<string, number>()
  readonly functions = new Map<string, FunctionDocument>()
  readonly versions = new Map<string, Map<number, VersionDocument>>()
  readonly commands = new Map<string, CommandDocument>()
  readonly streams = new Map<string, StreamDocument>()
  readonly followers = new Map<string, Map<string, FollowerDocument>>()
  readonly #owners = new OwnerCheck(this)
  readonly #launched = new Set<string>()
  #ids = 0
  #leaderEpoch = 0
  /** The number of actions before the scheduler dies and is started again. */
  diesAfter = Number.POSITIVE_INFINITY

  readonly #quota: Partial<Resources>

  constructor(agents = 3, quota: Partial<Resources> = {}) {
    this.#quota = quota
    for (let i = 0; i < agents; i++) {
      this.agents.set(`agent-${i}`, agentResources)
      this.attributes.set(`agent-${i}`, { zone: i % 2 === 0 ? 'a' : 'b' })
    }
    this.state = initialState({ namespace: 'ns', leaderEpoch: 0, seed: 1 })
    this.restart()
  }

  /** Starts the scheduler again from what is in the store. */
  restart(): void {
    this.diesAfter = Number.POSITIVE_INFINITY
    this.offers.clear()
    this.connected = false
    this.#leaderEpoch += 1
    const leaderEpoch = this.#leaderEpoch
    this.state = initialState({ namespace: 'ns', leaderEpoch, seed: leaderEpoch, quota: this.#quota })
    this.feed({
      kind: 'restored',
      tasks: [...this.tasks.values()],
      seats: [...this.seats.values()],
      statuses: [...this.statuses.values()],
      epochs: new Map(this.epochs),
      wanted: this.wanted(),
    })
  }

  wanted(): Wanted {
    return {
      functions: new Map(
        [...this.functions].map(([name, document]) => [
          name,
          { document, versions: new Map(this.versions.get(name)) },
        ]),
      ),
      streams: new Map(this.streams),
      followers: new Map([...this.followers].map(([stream, byId]) => [stream, new Map(byId)])),
      commands: new Map(this.commands),
    }
  }

  feed(event: Event): void {
    const [next, actions] = checkedStep(deepFreeze(this.state), event, this.nowMs)
    checkSwaps(this.state, event, next)
    this.state = next
    assert.equal(next.offers.size, 0, 'CC4: no offer is held')
    for (const action of actions) {
      if (this.diesAfter-- <= 0) {
        this.restart()
        return
      }
      this.actions.push(action)
      this.#perform(action)
    }
    assert.equal(this.offers.size, 0, 'CC4: every offer was accepted or declined')
    this.#owners.look()
  }

  newId(): string {
    return `c${this.#ids++}`
  }

  publish(): void {
    this.feed({ kind: 'wanted', wanted: this.wanted() })
  }

  connect(): void {
    this.connected = true
    this.offersWanted = true
    this.updates.unshift(...this.#unacknowledged)
    this.#unacknowledged.clear()
    this.feed({ kind: 'connected', frameworkId: 'f' })
    for (const document of this.tasks.values()) this.#reconcile(document.taskId)
  }

  disconnect(): void {
    this.connected = false
    this.offers.clear()
    this.feed({ kind: 'disconnected', why: 'test' })
  }

  /**
   * @param how.migrates Its state has another format than the good version's.
   * @param how.sameCode It has the bundle of the version before.
   */
  deploy(
    name: string,
    manifest: Omit<ManifestInput, 'name'>,
    { migrates = false, sameCode = false }: { readonly migrates?: boolean; readonly sameCode?: boolean } = {},
  ): void {
    const versions = this.versions.get(name) ?? new Map<number, VersionDocument>()
    const version = versions.size + 1
    const stateFormat = migrates
      ? version
      : (versions.get(this.functions.get(name)?.good ?? 0)?.stateFormat ?? 1)
    const parsed = manifestSchema.parse({ restarts: 1_000_000, ...manifest, name })
    versions.set(version, {
      schema: 1,
      version,
      bundleSha256: (sameCode ? versions.get(version - 1)?.bundleSha256 : undefined) ?? String(version),
      bundleBytes: 1,
      manifest: parsed,
      stateFormat,
      deployedAtMs: this.nowMs,
    })
    this.versions.set(name, versions)
    const { deleted: _, atOnce: __, ...before } = this.functions.get(name) ?? { createdAtMs: 0 }
    this.functions.set(name, { ...before, schema: 1, version, instances: parsed.instances })
    this.publish()
  }

  /** Makes one offer of everything free, for each agent that has something. */
  offer(): void {
    if (!this.connected || !this.offersWanted) return
    const offers: Offer[] = []
    for (const agentId of this.agents.keys()) {
      if (this.away.has(agentId)) continue
      const resources = this.free(agentId)
      const attributes = this.attributes.get(agentId) ?? {}
      if (resources.cpus > 0)
        offers.push({ id: `o${this.#ids++}`, agentId, hostname: agentId, attributes, resources })
    }
    for (const offer of offers) this.offers.set(offer.id, offer)
    if (offers.length > 0) this.feed({ kind: 'offers', offers })
  }

  free(agentId: string): Resources {
    let { cpus, memMib, diskMib, ports = 0 } = this.agents.get(agentId) as Resources
    for (const runner of this.runners.values()) {
      if (runner.document.agentId !== agentId) continue
      cpus -= runner.document.resources.cpus
      memMib -= runner.document.resources.memMib
      diskMib -= runner.document.resources.diskMib
      ports -= runner.document.resources.ports ?? 0
    }
    return { cpus, memMib, diskMib, ports }
  }

  /** Delivers the first update, if there is a connection. */
  deliverUpdate(): void {
    if (!this.connected) return
    const update = this.updates.shift()
    if (update === undefined) return
    if (update.receipt !== undefined) this.#unacknowledged.add(update)
    this.feed({ kind: 'task', update })
  }

  exit(taskId: string, exitCode: number): void {
    if (!this.runners.delete(taskId)) return
    this.updates.push({ taskId, condition: 'exited', exitCode, message: 'Command exited', receipt: 'r' })
  }

  /** Delivers an assignment; messages may overtake each other. */
  readMail(runner: Runner, at = 0): void {
    const [assignment] = runner.mail.splice(at % Math.max(1, runner.mail.length), 1)
    if (assignment === undefined || assignment.generation <= runner.generation) return
    runner.generation = assignment.generation
    const wanted = new Set(assignment.instances.map(({ id }) => id))
    for (const id of [...runner.instances.keys()]) if (!wanted.has(id)) this.#leave(runner, id)
    runner.departed = runner.departed.filter(({ id, exit }) => exit === undefined || wanted.has(id))
    for (const told of assignment.instances) {
      const { id, function: name, index, epoch, partitions, giving = [], awaited = [] } = told
      if (runner.departed.some((report) => report.id === id && report.exit !== undefined)) continue // it has failed
      if (!runner.instances.has(id) && hasLeft(runner, id, epoch)) continue
      const said = assignedVersion(assignment, told)
      const { version, groupings } = said
      const list: string[] = Object.entries(partitions).flatMap(([stream, numbers]) =>
        groupings[stream] === 'broadcast' ? [] : numbers.map((p) => `${stream}/${p}`),
      )
      const before = runner.instances.get(id)
      const kept = [...(before?.owns ?? [])].filter(
        ([key]) => list.includes(key) || giving.some(({ share }) => share === shareOf(key)),
      )
      const owns = new Map([...list.map((key) => [key, epoch] as const), ...kept])
      const open = awaited.filter(({ share }) => ![...owns.keys()].some((key) => shareOf(key) === share))
      const now = { id, function: name, index, version: before?.version ?? version }
      const heard = toldOf(said, before, this.isQuiet ? 0 : 1000)
      runner.instances.set(id, { ...now, owns, giving, awaited: open, epoch, ...heard })
    }
    this.#owners.look()
  }

  /** An instance asks for the shares that it was promised. @param lost The answer is lost. */
  ask(runner: Runner, at = 0, lost = false): void {
    const asking = [...runner.instances.values()].filter(({ awaited }) => awaited.length > 0)
    const taker = asking[at % Math.max(1, asking.length)]
    const promise = taker?.awaited[at % taker.awaited.length]
    if (taker === undefined || promise === undefined) return
    const { share, epoch, task, instance } = promise
    const giver = this.runners.get(task)?.instances.get(instance)
    if (!giver?.giving.some((giving) => giving.share === share && giving.epoch === epoch)) return
    for (const key of [...giver.owns.keys()]) if (shareOf(key) === share) giver.owns.delete(key)
    if (lost) return
    for (const stream of keyedInputs) taker.owns.set(`${stream}/${share}`, epoch)
    taker.awaited = taker.awaited.filter((other) => other !== promise)
    this.#owners.look()
  }

  beat(runner: Runner): void {
    const { taskId } = runner.document
    const at = [...runner.instances.values()].map((instance) => reportOf(instance, 'running'))
    const instances = [...at, ...runner.departed]
    const heartbeat = { ...heartbeatOf(taskId, runner.generation, this.nowMs), instances }
    this.feed({ kind: 'heartbeat', heartbeat })
  }

  /** Makes an instance of a packed runner fail. */
  fail(runner: Runner, id: string): void {
    const instance = runner.instances.get(id)
    if (instance === undefined || runner.document.group === undefined) return
    runner.instances.delete(id)
    const exit = { code: 10, reason: 'functionFailed', message: 'boom' }
    runner.departed.push({ ...reportOf(instance, 'failed'), exit })
  }

  /** Completes an instance's pending swap, or makes it fail. */
  swap(runner: Runner, id: string, fails: boolean, records = this.isQuiet ? 0 : 1): void {
    const { swap, ...instance } = runner.instances.get(id) as WorldInstance
    if (swap?.state !== 'preparing') return
    const { version } = swap
    runner.instances.set(
      id,
      fails
        ? { ...instance, swap: { version, state: 'failed' } }
        : { ...instance, version, tried: { version, records } },
    )
  }

  /** Ends a packed runner, with the instance that it names as the culprit. */
  crash(runner: Runner, id: string): void {
    const { taskId } = runner.document
    const exit = { code: 13, reason: 'memory', message: 'too much', instance: id }
    this.feed({
      kind: 'heartbeat',
      heartbeat: { ...heartbeatOf(taskId, runner.generation, this.nowMs), state: 'stopped', exit },
    })
    this.exit(taskId, 13)
  }

  #leave(runner: Runner, id: string): void {
    const instance = runner.instances.get(id)
    runner.instances.delete(id)
    if (instance !== undefined) runner.departed.push(reportOf(instance, 'stopped'))
  }

  tick(ms: number): void {
    this.nowMs += ms
    if (this.nowMs >= this.state.wakeAtMs) this.feed({ kind: 'tick' })
  }

  /** Runs without further failures until nothing changes for some rounds. */
  settle(rounds = 80): void {
    if (!this.connected) this.connect()
    for (let i = 0; i < rounds; i++) {
      this.publish()
      while (this.updates.length > 0) this.deliverUpdate()
      this.offer()
      for (const runner of [...this.runners.values()]) {
        while (runner.mail.length > 0) this.readMail(runner)
        for (const { awaited } of [...runner.instances.values()]) for (const _ of awaited) this.ask(runner)
        for (const id of [...runner.instances.keys()]) this.swap(runner, id, false)
        this.beat(runner)
        if (runner.killed) this.exit(runner.document.taskId, 0)
      }
      this.tick(1_000)
    }
  }

  #perform(action: Action): void {
    switch (action.kind) {
      case 'saveEpoch':
        assert.ok(action.epoch > (this.epochs.get(action.function) ?? 0), 'CC3: epochs grow')
        this.epochs.set(action.function, action.epoch)
        return
      case 'createTask':
        assert.ok(!this.tasks.has(action.document.taskId), 'task ids are never used again')
        this.tasks.set(action.document.taskId, action.document)
        return
      case 'removeTask':
        this.tasks.delete(action.taskId)
        return
      case 'createSeat':
        assert.ok(!this.seats.has(action.document.instance), 'CC1: one seat for an instance')
        this.seats.set(action.document.instance, action.document)
        return
      case 'updateSeat':
        assert.ok(this.seats.has(action.document.instance))
        this.seats.set(action.document.instance, action.document)
        return
      case 'removeSeat':
        this.seats.delete(action.instance)
        return
      case 'saveStatus':
        this.statuses.set(action.document.function, action.document)
        return
      case 'lowerInstances': {
        const document = this.functions.get(action.function)
        const applied = document?.applied ?? []
        if (document === undefined || applied.includes(action.command)) return
        const instances = Math.max(0, document.instances - 1)
        this.functions.set(action.function, { ...document, instances, applied: [...applied, action.command] })
        return
      }
      case 'settleVersion': {
        const document = this.functions.get(action.function)
        const { good, outcome, formatsBefore } = action
        if (document?.version !== outcome.version) return
        assert.ok(document.good !== good || document.version !== good, 'an outcome is written once')
        const { canary: _, atOnce: __, shadow: ___, rolling: ____, ...kept } = document
        const before = formatsBefore && { formatsBefore }
        this.functions.set(action.function, { ...kept, version: good, good, ...before })
        return
      }
      case 'saveCanary':
        return this.#change(action.function, action.canary.version, { canary: action.canary })
      case 'saveShadow':
        return this.#change(action.function, action.shadow.version, { shadow: action.shadow })
      case 'saveRolling':
        return this.#change(action.function, action.rolling.version, { rolling: action.rolling })
      case 'removeCommand':
        return void this.commands.delete(action.command)
      case 'removeFollower':
        if (this.followers.get(action.stream)?.get(action.follower)?.renewedAtMs === action.renewedAtMs)
          this.followers.get(action.stream)?.delete(action.follower)
        return
      case 'removeFunction':
        if (this.functions.get(action.function)?.deleted !== true) return
        this.functions.delete(action.function)
        this.versions.delete(action.function)
        this.statuses.delete(action.function)
        return
      case 'launch':
        this.#launch(action)
        return
      case 'decline':
        for (const id of action.offerIds) assert.ok(this.offers.delete(id), 'declines what was offered')
        return
      case 'wantOffers':
        this.offersWanted = action.wanted
        return
      case 'kill':
        return this.#kill(action.taskId)
      case 'acknowledge':
        this.#unacknowledged.delete(action.update)
        return
      case 'reconcile':
        this.#reconcile(action.taskId)
        return
      case 'assign':
        this.runners.get(action.assignment.taskId)?.mail.push(action.assignment)
        return
    }
  }

  #kill(taskId: string): void {
    const runner = this.runners.get(taskId)
    if (this.connected && runner !== undefined && !this.away.has(runner.document.agentId))
      runner.killed = true
  }

  #change(name: string, version: number, to: Partial<FunctionDocument>): void {
    const document = this.functions.get(name)
    if (document?.version === version) this.functions.set(name, { ...document, ...to })
  }

  #launch(action: Extract<Action, { kind: 'launch' }>): void {
    assert.ok(this.connected, 'launches only while connected')
    let free = { cpus: 0, memMib: 0, diskMib: 0 }
    const agents = new Set<string>()
    for (const id of action.offerIds) {
      const offer = this.offers.get(id)
      assert.ok(offer, 'launches only on what was offered')
      this.offers.delete(id)
      agents.add(offer.agentId)
      const { cpus, memMib, diskMib } = offer.resources
      free = { cpus: free.cpus + cpus, memMib: free.memMib + memMib, diskMib: free.diskMib + diskMib }
    }
    assert.equal(agents.size, 1, 'offers of one launch are of one agent')
    for (const { document } of action.launches) {
      assert.ok(agents.has(document.agentId))
      assert.ok(this.tasks.has(document.taskId), 'CC1: written down before it is launched')
      assert.ok(!this.#launched.has(document.taskId), 'launched once')
      this.#launched.add(document.taskId)
      free.cpus -= document.resources.cpus
      free.memMib -= document.resources.memMib
      free.diskMib -= document.resources.diskMib
      checkPlace(this, document)
      const born = this.#ids++
      this.runners.set(document.taskId, {
        document,
        born,
        generation: 0,
        instances: new Map(),
        departed: [],
        killed: false,
        mail: [],
      })
      this.updates.push({
        taskId: document.taskId,
        agentId: document.agentId,
        condition: 'running',
        message: '',
        receipt: 'r',
      })
    }
    assert.ok(free.cpus >= -1e-9 && free.memMib >= 0 && free.diskMib >= 0, 'never more than was offered')
  }

  #reconcile(taskId: string): void {
    // A pending update about the task's end is repeated until acknowledged, and overrides this one.
    if (this.updates.some((update) => update.taskId === taskId)) return
    const condition = this.runners.has(taskId) ? 'running' : 'lost'
    this.updates.push({ taskId, condition, message: 'Reconciliation' })
  }
}
