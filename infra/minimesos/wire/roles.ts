/**
 * Roles and the other parts of FrameworkInfo that a master refuses with an ERROR event.
 * @module
 */
import type { FrameworkInfo } from './messages.ts'

/** Beyond it a duration does not fit into 63 bits of nanoseconds. */
const failoverTimeoutSecondsMax = 2 ** 63 / 1e9

export type Capability = NonNullable<FrameworkInfo['capabilities'][number]['type']>

export const has = (info: FrameworkInfo, capability: Capability): boolean =>
  info.capabilities.some((c) => c.type === capability)

/** A framework without MULTI_ROLE has one role, `*` unless it says another. */
export const rolesOf = (info: FrameworkInfo): readonly string[] =>
  has(info, 'MULTI_ROLE') ? info.roles : [info.role ?? '*']

/** Why a FrameworkInfo is refused, or undefined. */
export function frameworkFault(info: FrameworkInfo, suppressed: readonly string[]): string | undefined {
  const multiRole = has(info, 'MULTI_ROLE')
  if (multiRole && info.role !== undefined) {
    return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable"
  }
  if (!multiRole && info.roles.length > 0) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable"
  }
  const roles = rolesOf(info)
  const twice = roles.filter((role, i) => roles.indexOf(role) !== i)
  if (twice.length > 0)
    return `'FrameworkInfo.roles' contains duplicate items: { ${[...new Set(twice)].join(', ')} }`
  const fault = roles.map(roleFault).find((f) => f !== undefined)
  if (fault !== undefined) {
    return multiRole
      ? `'FrameworkInfo.roles' contains invalid role: ${fault}`
      : `'FrameworkInfo.role' is not a valid role: ${fault}`
  }
  const alien = suppressed.filter((role) => !roles.includes(role))
  if (alien.length > 0)
    return `Suppressed roles { ${alien.join(', ')} } are not contained in the set of roles`
  const timeoutSeconds = info.failover_timeout ?? 0
  if (Math.abs(timeoutSeconds) >= failoverTimeoutSecondsMax) {
    return `The framework failover_timeout (${timeoutSeconds}) is invalid`
  }
  return undefined
}

function roleFault(role: string): string | undefined {
  if (role === '*') return undefined
  if (role === '') return 'Role names cannot be the empty string'
  if (role.startsWith('/')) return `Role '${role}' cannot start with a slash`
  if (role.endsWith('/')) return `Role '${role}' cannot end with a slash`
  if (role.includes('//')) return `Role '${role}' cannot contain two adjacent slashes`
  for (const part of role.split('/')) {
    if (part === '.' || part === '..' || part === '*')
      return `Role '${role}' cannot include '${part}' as a component`
    if (part.startsWith('-')) return `Role component '${part}' is invalid because it starts with a dash`
    if (/[\s\b\x7f]/.test(part)) {
      return `Role component '${part}' is invalid because it contains backspace or whitespace`
    }
  }
  return undefined
}
