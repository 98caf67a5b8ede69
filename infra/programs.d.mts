export type Program =
  | `infra/local/${'up' | 'may-start' | 'down' | 'cluster' | 'print-config'}.ts`
  | 'infra/minimesos/main.ts'
  | 'infra/store/zookeeper/client-process.ts'
  | 'gateway/main.ts'
  | 'gateway/probe/child.ts'
  | 'scheduler/main.ts'
  | 'runner/main.ts'
  | 'runner/host-main.ts'
  | 'runner/gate/thread-main.ts'

type IsolateScript = 'runtime.js' | 'probe-module.js' | 'probe-globals.js'

export const programs: readonly Program[]
export const isolateScripts: readonly IsolateScript[]
export const root: string
export function bundleName(source: Program): string
export function programFile(source: Program): string
export function bundleFile(source: Program): string
export function isolateScript(name: IsolateScript): Promise<string>
