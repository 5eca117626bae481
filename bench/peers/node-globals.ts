/**
 * Gives Node what libraries for browsers expect: the classes and constants of WebGPU as globals, and a `navigator` that has
 * `gpu`. That object is empty, because peers get our device and request nothing from it.
 * @throws Error if the npm package "webgpu" is missing
 */
export async function provideBrowserGlobals(): Promise<void> {
  const { globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  // Node 20 has no `navigator`; later ones have one whose properties are fixed.
  const existing = globalThis.navigator ?? {};
  if (!('gpu' in existing)) {
    const navigator = Object.create(existing, { gpu: { value: {}, enumerable: true } });
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  }
}
