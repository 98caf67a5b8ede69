export function isolateScript(name: 'runtime.js' | 'probe-module.js' | 'probe-globals.js'): Promise<string>
