/**
 * Lockdown: takes out of the realm what would let a function leave its bounds or see what cannot be repeated.
 *
 *   WebAssembly, SharedArrayBuffer, Atomics   memory that no limit counts, clocks, and threads
 *   resizable ArrayBuffers                    memory that no limit counts (measured: 1 GiB under a limit of 32 MiB)
 *   SharedArrayBuffer's methods                the way to it from an asset's `buffer`; growing, copying and a length that grows
 *   WeakRef, FinalizationRegistry             show when garbage was collected, which no replay can repeat (I6)
 *
 * Runs after primordials.ts has kept what the runtime needs.
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

/** An ArrayBuffer constructor that drops the option `maxByteLength`, in all places that lead to it. */
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
