import { create } from 'webgpu';
import { trellisKernel } from '../../src/codec/gpu-trellis.js';
import { sizeOf } from '../../src/common/shapes.js';
import { GpuPicture } from '../../src/detection/gpu-picture.js';
import { Gpu, SUBGROUP_MATRIX } from '../../src/gpu/gpu.js';
import type { Kernel, KernelLimits } from '../../src/gpu/kernel.js';
import { levelsKernel, unitsKernel } from '../../src/models/unit-pixels.js';
import { Adam } from '../../src/nn/adam.js';
import { SGD } from '../../src/nn/sgd.js';
import { gatherCandidates, weightGradientCandidates } from '../../src/ops/conv/choose.js';
import { gatherOf } from '../../src/ops/conv/gather-plan.js';
import { planGather } from '../../src/ops/conv/plan.js';
import { convShape } from '../../src/ops/conv/shape.js';
import { planWeightGradient } from '../../src/ops/conv/weight-gradient.js';
import { chooseMatmul, planMatmul } from '../../src/ops/matmul/plan.js';
import { applyByName, gpuOps, type OpAttrs, type OpName } from '../../src/ops/registry.js';
import { Tape } from '../../src/ops/tape.js';
import { scope, Tensor } from '../../src/tensor/tensor.js';
import { DTYPES, gradientCases, WITHOUT_GRADIENT } from '../reference/reference-cases.js';

/*
 * Collects the kernels of the whole engine: those that each operation runs on its examples, forward and backward, and all variants of
 * convolutions and products. They come from Dawn's null backend, which checks WGSL and whole pipelines, and runs nothing.
 */

export interface KernelText {
  /** The source of the kernel: an operation with its shapes, or a variant with its configuration. */
  of: string;
  kernel: Kernel;
}

/** Keeps Dawn's instance alive: Dawn crashes if the instance is collected before its devices. */
const held: unknown[] = [];

/** A device of Dawn's null backend, with all that kernels may enable. */
export async function nullDevice(): Promise<GPUDevice> {
  const instance = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = (await instance.requestAdapter()) as GPUAdapter;
  const requiredFeatures = ['shader-f16', 'subgroups', SUBGROUP_MATRIX] as GPUFeatureName[];
  const device = await adapter.requestDevice({ requiredFeatures });
  held.push(instance, adapter, device);
  return device;
}

/** Whether kernels are those for CPU adapters or for GPUs. */
type Target = 'cpu' | 'gpu';

const opened = new Map<string, Gpu>();

/** A GPU of the null backend with the limits of the target. */
export function nullGpu(device: GPUDevice, target: Target): Gpu {
  return new Gpu(device, {
    vendor: '',
    architecture: '',
    device: '',
    description: "Dawn's null backend",
    kind: target === 'cpu' ? 'lavapipe' : 'hardware',
    subgroupSize: target === 'cpu' ? 8 : 32,
  });
}

function gpuOf(device: GPUDevice, target: Target): Gpu {
  const found = opened.get(target);
  if (found?.device === device) return found;
  const gpu = nullGpu(device, target);
  opened.set(target, gpu);
  return gpu;
}

/** Runs `body` and returns the kernels that it ran. */
async function kernelsRunBy(gpu: Gpu, of: string, body: () => void): Promise<KernelText[]> {
  const found: KernelText[] = [];
  const { run } = gpu;
  gpu.run = (kernel, ...rest) => {
    found.push({ of, kernel });
    return run.call(gpu, kernel, ...rest);
  };
  try {
    scope(gpu, body);
    await gpu.sync();
  } catch (error) {
    if (found.length === 0) throw error; // errors of compilation are reported when the texts are compiled
  } finally {
    delete (gpu as Partial<typeof gpu>).run; // the method of the class shows again
  }
  return found;
}

/** The kernels of an operation on inputs of these shapes, forward and backward. */
export async function kernelsOfOp(
  device: GPUDevice,
  op: OpName,
  shapes: readonly (readonly number[])[],
  attrs: OpAttrs[OpName],
  target: Target = 'cpu',
  dtypes = DTYPES[op],
): Promise<KernelText[]> {
  const gpu = gpuOf(device, target);
  return kernelsRunBy(gpu, `${op} ${shapes.map((shape) => `[${shape}]`).join(' ')} on a ${target}`, () => {
    // Each operation checks the types.
    const tensors = shapes.map((shape, k) =>
      Tensor.from(gpu, new Float32Array(sizeOf(shape)).fill(1), shape, dtypes?.[k] ?? 'float32'),
    ) as Tensor[];
    const tape = new Tape();
    const output = tape.record(() => applyByName(op, tensors, attrs as never));
    const wrt = tensors.filter((_, k) => !WITHOUT_GRADIENT[op]?.includes(k));
    if (wrt.length > 0) tape.gradients(output, wrt, Tensor.from(gpu, new Float32Array(output.size), output.shape));
  });
}

/** The steps of both optimisers. */
async function optimizerKernels(device: GPUDevice): Promise<KernelText[]> {
  const gpu = gpuOf(device, 'cpu');
  const found: KernelText[] = [];
  for (const [name, optimizer] of [
    ['Adam', Adam],
    ['SGD', SGD],
  ] as const) {
    found.push(
      ...(await kernelsRunBy(gpu, name, () => {
        const weights = Tensor.zeros(gpu, [12]);
        const one = new optimizer(new Map([['weights', weights]]));
        one.step(new Map([[weights, Tensor.zeros(gpu, [12])]]), 0.1);
        one.dispose();
      })),
    );
  }
  return found;
}

/** The kernels that cut windows out of a picture. */
function detectionKernels(device: GPUDevice): Promise<KernelText[]> {
  const gpu = gpuOf(device, 'cpu');
  return kernelsRunBy(gpu, 'the crops of a picture', () => {
    const picture = new GpuPicture(gpu, { width: 2, height: 2, data: new Uint8Array(12) });
    picture.crops([{ left: 0, top: 0, step: 1 }], { width: 2, height: 2 });
    picture.dispose();
  });
}

const SIZES = { maxWorkgroupInvocations: 256, maxWorkgroupStorageBytes: 16384 };

/** Limits that together give every variant: without and with subgroups and matrices, CPU and GPU, both precisions. */
const LIMITS: readonly KernelLimits[] = [true, false].flatMap((software) =>
  [0, 8, 32].flatMap((subgroupSize) =>
    (['f32', 'f16'] as const).map((precision) => ({
      ...SIZES,
      software,
      subgroupSize,
      precision,
      matrices: subgroupSize === 32 ? [{ m: 16, n: 16, k: 16 }] : [],
    })),
  ),
);

const CONVS = [
  { x: [2, 9, 12, 5], w: [3, 3, 5, 18], stride: 2, padding: 1, groups: 1 },
  { x: [2, 10, 12, 3], w: [4, 4, 3, 6], stride: 2, padding: 1, groups: 1 },
  { x: [1, 28, 24, 64], w: [3, 3, 64, 64], stride: 1, padding: 1, groups: 1 },
  { x: [2, 20, 20, 8], w: [3, 3, 1, 8], stride: 1, padding: 1, groups: 8 },
  { x: [4, 40, 40, 8], w: [13, 17, 1, 8], stride: 1, padding: 0, groups: 8 },
  { x: [2, 8, 8, 4], w: [3, 3, 2, 4], stride: 1, padding: 1, groups: 2 },
  { x: [1, 1, 1, 70_000], w: [1, 1, 70_000, 4], stride: 1, padding: 0, groups: 1 },
] as const;

/** Every variant of the convolutions. */
export function convKernels(): KernelText[] {
  const found: KernelText[] = [];
  for (const { x, w, stride, padding, groups } of CONVS) {
    const size = (axis: 0 | 1): number => Math.floor((x[1 + axis] + 2 * padding - w[axis]) / stride) + 1;
    const attrs = {
      stride: [stride, stride],
      padding: [padding, padding, padding, padding],
      dilation: [1, 1],
      groups,
    } as const;
    const shape = convShape([...x], [x[0], size(0), size(1), w[3]], [...w], attrs);
    for (const limits of LIMITS) {
      for (const direction of ['forward', 'inputGradient'] as const) {
        const gather = gatherOf(shape, direction);
        for (const config of [...gatherCandidates(gather, limits), { variant: 'naive' } as const]) {
          for (const epilogue of ['none', 'bias', 'batchNormPrelu', 'batchNormRelu', 'batchNormRelu6'] as const) {
            const of = `[${x}] ${JSON.stringify(config)} ${epilogue} ${limits.precision}`;
            const { steps } = planGather(gather, epilogue, config, limits.precision);
            found.push(...steps.map(({ kernel }) => ({ of, kernel })));
          }
        }
      }
      for (const config of [...weightGradientCandidates(shape, limits), { variant: 'naive' } as const]) {
        const of = `[${x}] ${JSON.stringify(config)} ${limits.precision}`;
        const { steps } = planWeightGradient(shape, config, { variant: 'naive' }, limits.precision);
        found.push(...steps.map(({ kernel }) => ({ of, kernel })));
      }
    }
  }
  return found;
}

/** Every variant of matrix products. */
export function matmulKernels(): KernelText[] {
  const found: KernelText[] = [];
  for (const [m, n, k] of [
    [33, 17, 5],
    [64, 128, 512],
    [1, 1, 2 ** 20],
  ]) {
    for (const limits of LIMITS.filter(({ precision }) => precision === 'f32')) {
      for (const transposes of [0, 1, 2, 3]) {
        for (const variant of ['naive', 'register', 'tiled'] as const) {
          const flags = { transposeA: transposes % 2 === 1, transposeB: transposes > 1 };
          const { main } = planMatmul({ m, n, k }, flags, chooseMatmul({ m, n, k }, limits, variant));
          found.push({ of: `${m}×${n}×${k} ${JSON.stringify(flags)}`, kernel: main.kernel });
        }
      }
    }
  }
  return found;
}

/** All kernels, each text once. */
export async function everyKernel(device: GPUDevice): Promise<KernelText[]> {
  const found: KernelText[] = [];
  for (const { op, inputs, attrs, dtypes } of gradientCases) {
    if (!gpuOps[op]) continue;
    const shapes = inputs.map(({ shape }) => shape);
    for (const target of ['cpu', 'gpu'] as const)
      found.push(...(await kernelsOfOp(device, op, shapes, attrs, target, dtypes)));
  }
  found.push(...(await optimizerKernels(device)), ...(await detectionKernels(device)));
  found.push(...convKernels(), ...matmulKernels());
  found.push({ of: 'pixels', kernel: levelsKernel(1) }, { of: 'pixels', kernel: unitsKernel(1) });
  for (const limits of LIMITS) found.push({ of: 'trellis', kernel: trellisKernel(limits, 5) });
  return [...new Map(found.map((one) => [one.kernel.wgsl, one])).values()];
}
