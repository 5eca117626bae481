import { createRequire } from 'node:module';
import type { Gpu } from '../../src/gpu/gpu.js';
import { attrsOfShape } from '../../src/ops/conv/shape.js';
import type { Runnable } from '../core/runnable.js';
import { type ConvWork, KINDS, type MatmulWork, type Work } from '../core/work.js';
import { provideBrowserGlobals } from './node-globals.js';
import type { OpenPeer, Peer } from './peer.js';

type Core = typeof import('@tensorflow/tfjs-core');
type Backend = typeof import('@tensorflow/tfjs-backend-webgpu');
type TensorHandle = import('@tensorflow/tfjs-core').Tensor;
type KernelAttrs = import('@tensorflow/tfjs-core').NamedAttrMap;
type WebGpuBackend = InstanceType<Backend['WebGPUBackend']>;

/** Undeclared members of the backend, which gathers dispatches and submits 15 at a time. */
interface Submitting {
  commandEncoder: GPUCommandEncoder | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** The registered name of the kernel that computes `work`, with its inputs and attributes. */
function convKernel(work: ConvWork): { name: string; inputs: [string, string]; attrs: KernelAttrs } {
  const { kernel, groups } = work.shape;
  const { stride, padding, dilation } = attrsOfShape(work.shape);
  const [top, bottom, left, right] = padding;
  // With 'valid' it can compute a 1×1 conv, or one as large as the picture, as a matrix product.
  const pad = padding.every((zeros) => zeros === 0)
    ? 'valid'
    : [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ];
  const common = { strides: [...stride], pad, dilations: [...dilation], dataFormat: 'NHWC' };
  const [forward, byInput, byWeights] =
    groups > 1
      ? ['DepthwiseConv2dNative', 'DepthwiseConv2dNativeBackpropInput', 'DepthwiseConv2dNativeBackpropFilter']
      : ['Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter'];
  if (work.result === 'output') return { name: forward, inputs: ['x', 'filter'], attrs: common as KernelAttrs };
  if (work.result === 'input') {
    return {
      name: byInput,
      inputs: ['dy', 'filter'],
      attrs: { ...common, inputShape: [...work.output] } as KernelAttrs,
    };
  }
  const filterShape = groups > 1 ? [...kernel, groups, 1] : [...work.output];
  return { name: byWeights, inputs: ['x', 'dy'], attrs: { ...common, filterShape } as KernelAttrs };
}

/** TensorFlow.js stores depthwise weights as [kh, kw, C, 1]: the same numbers in the same order. */
function inputShape(work: Work, which: 0 | 1): number[] {
  const shape = [...work.inputs[which]];
  const depthwiseWeights = work.type !== 'matmul' && work.shape.groups > 1 && which === 1 && work.result !== 'weights';
  return depthwiseWeights ? [shape[0], shape[1], shape[3], 1] : shape;
}

class TensorFlowJs implements Peer {
  readonly name = 'tfjs-webgpu';
  readonly kinds = KINDS;
  readonly note = '';

  constructor(
    private readonly tf: Core,
    private readonly backend: WebGpuBackend,
    readonly version: string,
    private readonly gpu: Gpu,
  ) {}

  async prepare(work: Work, operands: readonly [Float32Array, Float32Array]): Promise<Runnable> {
    // A depthwise conv has one output channel per input channel in all networks of the bench.
    const { tf } = this;
    const inputs = operands.map((values, k) => tf.tensor(values, inputShape(work, k as 0 | 1), 'float32'));
    const compute = () => (work.type === 'matmul' ? this.#matmul(work, inputs) : this.#conv(work, inputs));
    return {
      run: () => void compute().dispose(),
      finish: () => this.#finish(),
      result: async () => {
        const output = compute();
        const values = Float32Array.from(await output.data());
        output.dispose();
        this.gpu.throwPendingError();
        return values;
      },
      dispose: () => {
        for (const tensor of inputs) tensor.dispose();
      },
    };
  }

  #conv(work: ConvWork, [first, second]: TensorHandle[]): TensorHandle {
    const { name, inputs, attrs } = convKernel(work);
    return this.tf.engine().runKernel(name, { [inputs[0]]: first, [inputs[1]]: second }, attrs) as TensorHandle;
  }

  #matmul({ transposeA, transposeB }: MatmulWork, [a, b]: TensorHandle[]): TensorHandle {
    return this.tf.matMul(a, b, transposeA, transposeB);
  }

  async #finish(): Promise<void> {
    const submitting = this.backend as unknown as Submitting;
    if (submitting.commandEncoder) {
      submitting.endComputePassEncoder();
      submitting.submitQueue();
    }
    await this.gpu.wait(this.backend.device.queue.onSubmittedWorkDone());
    this.gpu.throwPendingError();
  }

  dispose(): void {
    this.tf.removeBackend('webgpu-bench');
  }
}

/** TensorFlow.js with its WebGPU backend, on our device. */
export const openTensorFlowJs: OpenPeer = async (gpu) => {
  const require = createRequire(import.meta.url);
  let tf: Core;
  let backendModule: Backend;
  try {
    await provideBrowserGlobals();
    tf = require('@tensorflow/tfjs-core') as Core;
    backendModule = require('@tensorflow/tfjs-backend-webgpu') as Backend;
  } catch (error) {
    return `TensorFlow.js is not installed (npm install): ${(error as Error).message.split('\n')[0]}`;
  }
  const backend = new backendModule.WebGPUBackend(gpu.device, gpu.device.adapterInfo);
  tf.registerBackend('webgpu-bench', () => backend);
  // Kernels are registered by the backend's name, so ours must be copied to the new name.
  tf.copyRegisteredKernels('webgpu', 'webgpu-bench');
  await tf.setBackend('webgpu-bench');
  // Without this, it computes operations on small operands in JavaScript.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  return new TensorFlowJs(tf, backend, tf.version_core, gpu);
};
