export function bundleRuntime(): Promise<string>
