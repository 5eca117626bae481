import { setFlagsFromString } from 'node:v8';
import type { Gpu } from '../../src/gpu/gpu.js';
import type { Runnable } from '../core/runnable.js';
import type { Kind, Work } from '../core/work.js';
import { provideBrowserGlobals } from './node-globals.js';
import { onnxModel } from './onnx-model.js';
import type { OpenPeer, Peer } from './peer.js';
import { acceptSharedMemory } from './shared-memory.js';

type Runtime = typeof import('onnxruntime-web/webgpu');
type OrtTensor = import('onnxruntime-web/webgpu').Tensor;

const STORAGE = 0x80; // GPUBufferUsage
const COPY_DST = 0x8;

class OnnxRuntime implements Peer {
  readonly name = 'onnxruntime-web';
  readonly version: string;
  readonly kinds: readonly Kind[] = ['conv forward', 'transposed forward', 'depthwise forward', 'matmul'];
  readonly note =
    'It has forward passes only, and no gradients of convs. Its inputs and outputs stay on the device, in NHWC as ours do. ' +
    'The weights of convs are constants of its model, which it may reorder once; ours are reordered in each run. ' +
    'Each of its runs is a call of its session, so its times include the cost of that call in JavaScript and WebAssembly ' +
    "(compiled by V8's baseline compiler, without the later optimisation).";

  constructor(
    private readonly ort: Runtime,
    private readonly gpu: Gpu,
    private readonly restoreQueue: () => void,
  ) {
    this.version = ort.env.versions.web ?? ort.env.versions.common;
  }

  async prepare(work: Work, operands: readonly [Float32Array, Float32Array]): Promise<Runnable> {
    const model = onnxModel(work, operands);
    if (!model) throw new Error('not supported');
    const { device } = this.gpu;
    const session = await this.ort.InferenceSession.create(model.bytes, {
      executionProviders: [{ name: 'webgpu', device, preferredLayout: 'NHWC' }],
      preferredOutputLocation: 'gpu-buffer',
      logSeverityLevel: 3, // errors
    });
    const buffers: GPUBuffer[] = [];
    const feeds: Record<string, OrtTensor> = {};
    for (const { name, operand, shape } of model.inputs) {
      const values = operands[operand];
      const buffer = device.createBuffer({ size: values.byteLength, usage: STORAGE | COPY_DST });
      device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
      buffers.push(buffer);
      feeds[name] = this.ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [...shape] });
    }
    const compute = async () => (await session.run(feeds)).y;
    return {
      run: async () => {
        (await compute()).dispose();
      },
      finish: async () => {
        await device.queue.onSubmittedWorkDone();
        this.gpu.throwPendingError();
      },
      result: async () => {
        const output = await compute();
        const values = Float32Array.from((await output.getData()) as Float32Array);
        output.dispose();
        this.gpu.throwPendingError();
        return values;
      },
      dispose: async () => {
        await session.release();
        for (const buffer of buffers) buffer.destroy();
      },
    };
  }

  dispose(): void {
    this.restoreQueue();
  }
}

/** onnxruntime-web with its WebGPU provider, on our device. */
export const openOnnxRuntime: OpenPeer = async (gpu) => {
  let ort: Runtime;
  try {
    await provideBrowserGlobals();
    // V8's optimising compiler takes minutes for the largest function of this WebAssembly, and Node waits for it.
    setFlagsFromString('--liftoff-only');
    ort = await import('onnxruntime-web/webgpu');
  } catch (error) {
    return `onnxruntime-web is not installed (npm install): ${(error as Error).message.split('\n')[0]}`;
  }
  const { device } = gpu;
  ort.env.wasm.numThreads = 1; // other threads could not use our device
  // It asks for an adapter, even though its sessions are given our device.
  ort.env.webgpu.adapter = {
    limits: device.limits,
    features: device.features,
    info: device.adapterInfo,
    requestDevice: async () => device,
  } as unknown as GPUAdapter;
  return new OnnxRuntime(ort, gpu, acceptSharedMemory(device.queue));
};
