import type { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { copyKernel, PEAK_FORMS, type PeakForm, peakFlops, peakKernel, peakOutputSize } from './peak-kernels.js';

/** The highest rates that the adapter reached in kernels that only multiply and add, or only copy. */
export interface Ceilings {
  /** 10⁹ floating-point operations per second; a multiply-add counts as two. */
  gflops: number;
  /** The form of the kernel that reached `gflops`, in words. */
  form: string;
  /** 10⁹ bytes per second, counting both the bytes read and those written. */
  gbps: number;
}

/** The least time of several runs in milliseconds, because other work on the machine must not lower a ceiling. */
async function leastTime(gpu: Gpu, run: () => void, times = 5): Promise<number> {
  let min = Infinity;
  for (let k = 0; k < times; k++) {
    const start = performance.now();
    run();
    await gpu.sync();
    min = Math.min(min, performance.now() - start);
  }
  return min;
}

/** A kernel that does nothing but multiply-adds in registers, for as many turns of a loop as are asked for. */
export class PeakLoad {
  readonly #workgroups: number;
  readonly #coefficients: Tensor;
  readonly #output: Tensor;

  constructor(
    private readonly gpu: Gpu,
    private readonly form: PeakForm,
  ) {
    this.#workgroups = gpu.limits.software ? 64 : 8192;
    // The factor keeps the sums away from overflow and from the denormals that CPUs are slow with.
    this.#coefficients = Tensor.from(gpu, [0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25], [8]);
    this.#output = Tensor.empty(gpu, [peakOutputSize(this.#workgroups)]);
  }

  run(turns: number): void {
    const kernel = peakKernel(this.form, this.#workgroups);
    this.gpu.run(kernel, [this.#coefficients.buffer, this.#output.buffer], Uint32Array.of(turns).buffer);
  }

  /** A number of turns of the loop that takes at least this long. The kernel is compiled first. */
  async turnsFor(milliseconds: number): Promise<number> {
    await leastTime(this.gpu, () => this.run(1), 1);
    let turns = 32;
    while (turns < 2 ** 22 && (await leastTime(this.gpu, () => this.run(turns), 1)) < milliseconds) turns *= 4;
    return turns;
  }

  /** Operations of one run. */
  flops(turns: number): number {
    return peakFlops(this.form, this.#workgroups, turns);
  }

  dispose(): void {
    this.#coefficients.dispose();
    this.#output.dispose();
  }
}

async function measurePeak(gpu: Gpu, form: PeakForm): Promise<number> {
  const load = new PeakLoad(gpu, form);
  try {
    const turns = await load.turnsFor(30);
    return load.flops(turns) / (await leastTime(gpu, () => load.run(turns))) / 1e6;
  } finally {
    load.dispose();
  }
}

async function measureCopy(gpu: Gpu): Promise<number> {
  // The arrays must be larger than any cache of the adapter.
  const floats = gpu.limits.software ? 2 ** 25 : 2 ** 26;
  const source = Tensor.empty(gpu, [floats]);
  const destination = Tensor.empty(gpu, [floats]);
  try {
    let gbps = 0;
    for (const perInvocation of [1, 4]) {
      const kernel = copyKernel(floats / 4, perInvocation);
      const times = gpu.limits.software ? 1 : 10;
      const run = () => {
        for (let k = 0; k < times; k++) gpu.run(kernel, [source.buffer, destination.buffer]);
      };
      await leastTime(gpu, run, 1);
      gbps = Math.max(gbps, (times * 2 * 4 * floats) / (await leastTime(gpu, run)) / 1e6);
    }
    return gbps;
  } finally {
    source.dispose();
    destination.dispose();
  }
}

/** Measures both ceilings of an adapter. Of several forms of each kernel, the fastest counts. */
export async function measureCeilings(gpu: Gpu): Promise<Ceilings> {
  let gflops = 0;
  let form = '';
  for (const candidate of PEAK_FORMS) {
    const reached = await measurePeak(gpu, candidate);
    if (reached > gflops) {
      gflops = reached;
      form = `${candidate.chains} vec4 chains, ${candidate.fused ? 'fma()' : 'a * b + c'}`;
    }
  }
  return { gflops, form, gbps: await measureCopy(gpu) };
}
