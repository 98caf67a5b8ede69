/**
 * Lockdown: removes from the realm what would let a function exceed its limits, or observe what a replay cannot
 * repeat.
 *
 *   WebAssembly, SharedArrayBuffer, Atomics   memory that no limit counts, clocks, and threads
 *   resizable ArrayBuffers                    memory that no limit counts (measured: 1 GiB under a limit of 32 MiB)
 *   methods of SharedArrayBuffer              reachable through an asset's `buffer`: growing, copying, a changing
 *   length
 *   WeakRef, FinalizationRegistry             show when garbage was collected, which no replay can repeat (I6)
 *
 * Runs after primordials.ts has captured what the runtime needs.
 * @module
 */
export function lockDown(global: typeof globalThis): void {
  for (const name of ['constructor', 'grow', 'growable', 'maxByteLength', 'slice'])
    Reflect.deleteProperty(SharedArrayBuffer.prototype, name)
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'WeakRef', 'FinalizationRegistry']) {
    Reflect.deleteProperty(global, name)
  }
  closeArrayBuffer(global)
}

/** An ArrayBuffer constructor that ignores the option `maxByteLength`, wherever the constructor is reachable. */
function closeArrayBuffer(global: typeof globalThis): void {
  const { construct } = Reflect
  const Closed = new Proxy(ArrayBuffer, {
    construct: (target, args, newTarget) => construct(target, [args[0]], newTarget) as object,
  })
  Reflect.deleteProperty(ArrayBuffer.prototype, 'resize')
  const plain = { writable: true, configurable: true, enumerable: false }
  Reflect.defineProperty(ArrayBuffer.prototype, 'constructor', { ...plain, value: Closed })
  Reflect.defineProperty(global, 'ArrayBuffer', { ...plain, value: Closed })
}
