import { setFlagsFromString } from 'node:v8';

/** An array with its shape. */
export interface OrtArray {
  shape: readonly number[];
  data: Float32Array | Int32Array | Uint8Array;
}

type Runtime = typeof import('onnxruntime-web');

let loaded: Promise<Runtime> | undefined;

async function load(): Promise<Runtime> {
  // V8's optimising compiler takes minutes for the largest function of this WebAssembly, and Node waits for it.
  setFlagsFromString('--liftoff-only');
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = 1; // it would leave its threads open
  return ort;
}

/** Runs a model in onnxruntime on the CPU. */
export async function runOnnx(
  model: Uint8Array,
  inputs: Readonly<Record<string, OrtArray>>,
): Promise<Record<string, OrtArray>> {
  loaded ??= load();
  const ort = await loaded;
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], logSeverityLevel: 3 });
  const feeds = Object.entries(inputs).map(([name, { shape, data }]) => {
    const type = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'bool';
    return [name, new ort.Tensor(type as 'float32', data as Float32Array, shape)] as const;
  });
  const results = await session.run(Object.fromEntries(feeds));
  const outputs = Object.entries(results).map(([name, { dims, data }]) => {
    return [name, { shape: dims, data: data as OrtArray['data'] }] as const;
  });
  await session.release();
  return Object.fromEntries(outputs);
}
