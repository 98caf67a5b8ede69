/**
 * Memory cgroups, v1 and v2: the bound that holds even when a process does not keep its own.
 *
 *   C1. A task's group lies within that of minimesos where it may, so that an outer bound still holds.
 *   C2. Whether groups can be made is found out by making one, not by reading about it.
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What Mesos adds to a command task for its executor. */
export const executorMemMib = 32

const removeTries = 50
const removeRetryMs = 20

/** Where groups for tasks can be made. */
export interface CgroupParent {
  readonly version: 1 | 2
  readonly path: string
}

/** The first place where a memory cgroup can be made and bounded, or undefined. */
export function findCgroupParent(
  root = '/sys/fs/cgroup',
  membership = ownMembership(),
): CgroupParent | undefined {
  return candidates(root, membership).find(canBound)
}

function candidates(root: string, membership: string): CgroupParent[] {
  return membership.split('\n').flatMap((line): CgroupParent[] => {
    const [hierarchy, controllers, ...rest] = line.split(':')
    const own = rest.join(':')
    if (controllers?.split(',').includes('memory')) {
      return [own, '/'].map((path) => ({ version: 1, path: join(root, 'memory', path) }))
    }
    return hierarchy === '0' ? [own, '/'].map((path) => ({ version: 2, path: join(root, path) })) : []
  })
}

function canBound(parent: CgroupParent): boolean {
  const probe = new Cgroup(join(parent.path, `minimesos-probe-${process.pid}`))
  try {
    probe.make(parent.version, 64)
    return true
  } catch {
    return false
  } finally {
    probe.tryRemove()
  }
}

/** One task's group. */
export class Cgroup {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Writing `0` here moves the writer in. */
  get procsFile(): string {
    return join(this.path, 'cgroup.procs')
  }

  /** @throws If it cannot be made or bounded. */
  make(version: 1 | 2, memMib: number): void {
    const bytes = String(memMib * 2 ** 20)
    mkdirSync(this.path)
    if (version === 1) {
      this.#write('memory.limit_in_bytes', bytes)
      this.#writeIfThere('memory.memsw.limit_in_bytes', bytes)
    } else {
      this.#write('memory.max', bytes)
      this.#writeIfThere('memory.swap.max', '0')
      // A half-killed task is useless, so all its processes are killed together.
      this.#writeIfThere('memory.oom.group', '1')
    }
  }

  /** How often the kernel killed in this group for want of memory. */
  get oomKills(): number {
    const counts = this.#read('memory.events') ?? this.#read('memory.oom_control') ?? ''
    return Number(/^oom_kill (\d+)$/m.exec(counts)?.[1] ?? 0)
  }

  get peakMib(): number {
    return Math.round(
      Number(this.#read('memory.peak') ?? this.#read('memory.max_usage_in_bytes') ?? 0) / 2 ** 20,
    )
  }

  get statistics(): string {
    return this.#read('memory.stat') ?? ''
  }

  /**
   * Removes the group once its last process has left, which takes the kernel a moment after a kill; there is no event
   * for it.
   */
  remove(tries = removeTries): void {
    if (!this.tryRemove() && tries > 0) setTimeout(() => this.remove(tries - 1), removeRetryMs)
  }

  tryRemove(): boolean {
    try {
      rmdirSync(this.path)
    } catch {
      return !existsSync(this.path)
    }
    return true
  }

  /** 'r+': in a plain folder this must fail, not make a file of that name. */
  #write(name: string, value: string): void {
    writeFileSync(join(this.path, name), value, { flag: 'r+' })
  }

  /** Not every kernel accounts for swap. */
  #writeIfThere(name: string, value: string): void {
    if (existsSync(join(this.path, name))) this.#write(name, value)
  }

  #read(name: string): string | undefined {
    try {
      return readFileSync(join(this.path, name), 'utf8')
    } catch {
      return undefined
    }
  }
}

function ownMembership(): string {
  try {
    return readFileSync('/proc/self/cgroup', 'utf8')
  } catch {
    return ''
  }
}
