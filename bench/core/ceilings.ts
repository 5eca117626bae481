import type { Gpu } from '../../src/gpu/gpu.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { copyKernel, PEAK_FORMS, type PeakForm, peakFlops, peakKernel, peakOutputSize } from './peak-kernels.js';

/** What the adapter reached at best in kernels that do nothing else. */
export interface Ceilings {
  /** Giga-operations a second, a multiply-add counted as two. */
  gflops: number;
  /** The kernel that reached it. */
  form: string;
  /** Gigabytes a second, read and written bytes both counted. */
  gbps: number;
}

/** Best of a few, in milliseconds: a ceiling is what the adapter can do, not what it does beside other work. */
async function best(gpu: Gpu, run: () => void, times = 5): Promise<number> {
  let min = Infinity;
  for (let k = 0; k < times; k++) {
    const start = performance.now();
    run();
    await gpu.sync();
    min = Math.min(min, performance.now() - start);
  }
  return min;
}

/** Multiply-adds in registers for as long as wanted. */
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

  /** Turns of the loop that take at least so long. Compiles. */
  async turnsFor(milliseconds: number): Promise<number> {
    await best(this.gpu, () => this.run(1), 1);
    let turns = 32;
    while (turns < 2 ** 22 && (await best(this.gpu, () => this.run(turns), 1)) < milliseconds) turns *= 4;
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
    return load.flops(turns) / (await best(gpu, () => load.run(turns))) / 1e6;
  } finally {
    load.dispose();
  }
}

async function measureCopy(gpu: Gpu): Promise<number> {
  // Larger than any cache of the adapter.
  const floats = gpu.limits.software ? 2 ** 25 : 2 ** 26;
  const source = Tensor.empty(gpu, [floats]);
  const destination = Tensor.empty(gpu, [floats]);
  try {
    let gbps = 0;
    for (const each of [1, 4]) {
      const kernel = copyKernel(floats / 4, each);
      const times = gpu.limits.software ? 1 : 10;
      const run = () => {
        for (let k = 0; k < times; k++) gpu.run(kernel, [source.buffer, destination.buffer]);
      };
      await best(gpu, run, 1);
      gbps = Math.max(gbps, (times * 2 * 4 * floats) / (await best(gpu, run)) / 1e6);
    }
    return gbps;
  } finally {
    source.dispose();
    destination.dispose();
  }
}

/** Measures both ceilings of an adapter: several forms of each kernel, the best counts. */
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
