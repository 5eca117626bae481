import { JOB_NUMBERS, trellisPlan, trellisShader } from '../../shaders/trellis.wgsl.js';
import type { Gpu } from '../gpu/gpu.js';
import { type Kernel, type KernelLimits, linearGrid } from '../gpu/kernel.js';
import { dispatchInPlace } from '../tensor/dispatch.js';
import { keep, scope, Tensor } from '../tensor/tensor.js';
import { bitTable, TRELLIS_CONSTANTS, type TrellisJob } from './integer-trellis.js';

/** A search for one of the faces that were loaded. */
export interface FaceJob extends TrellisJob {
  face: number;
}

/** One invocation a search. On a CPU in small workgroups, so that a few searches keep all cores busy. */
export function trellisKernel({ software }: KernelLimits, jobs: number): Kernel {
  const workgroup = software ? 8 : 32;
  const shader = trellisShader(TRELLIS_CONSTANTS, workgroup);
  return { label: 'trellis', ...shader, workgroups: linearGrid(Math.ceil(jobs / workgroup)) };
}

/** Finds symbols as `IntegerTrellis` does, the same ones, for many faces at once on a GPU. */
export class GpuTrellis {
  readonly #count: number;
  readonly #steps: Tensor<'int32'>;
  readonly #table: Tensor<'int32'>;

  /**
   * @param rows of `rowsOf`
   * @param order in which the values are coded
   */
  constructor(
    readonly gpu: Gpu,
    rows: Int32Array,
    readonly order: Int32Array,
  ) {
    this.#count = order.length;
    const steps = Int32Array.from({ length: 2 * order.length }, (_, i) => (i % 2 === 0 ? order : rows)[i >> 1]);
    this.#steps = keep(Tensor.from(gpu, steps, [order.length, 2], 'int32'));
    this.#table = keep(Tensor.from(gpu, bitTable(), [bitTable().length], 'int32'));
  }

  /** Uploads the values of faces, in units. The caller disposes of them. */
  load(faces: readonly Float32Array[]): Tensor {
    const all = new Float32Array(faces.length * this.#count);
    faces.forEach((values, face) => {
      all.set(values, face * this.#count);
    });
    return keep(Tensor.from(this.gpu, all, [faces.length, this.#count]));
  }

  /** The symbols of each search. @param faces of `load` */
  async choose(faces: Tensor, jobs: readonly FaceJob[]): Promise<Int16Array[]> {
    const { gpu, order } = this;
    const count = this.#count;
    const pairs = (count + 1) >> 1;
    const numbers = new Int32Array(JOB_NUMBERS * jobs.length);
    const floats = new Float32Array(numbers.buffer);
    jobs.forEach(({ face, gain, shift, lambda, split = count, lambdaThen = lambda }, k) => {
      numbers.set([face, 0, shift, lambda, split, lambdaThen], JOB_NUMBERS * k);
      floats[JOB_NUMBERS * k + 1] = gain;
    });
    const symbols = scope(gpu, () => {
      const given = Tensor.from(gpu, numbers, [jobs.length, JOB_NUMBERS], 'int32');
      const words = Tensor.empty(gpu, [count, jobs.length], 'int32');
      const symbols = Tensor.empty(gpu, [jobs.length, pairs], 'int32');
      const tensors = [faces, this.#steps, this.#table, given, words, symbols];
      dispatchInPlace(trellisKernel(gpu.limits, jobs.length), tensors, trellisPlan.pack({ count, jobs: jobs.length }));
      return keep(symbols);
    });
    try {
      const all = new Int16Array((await symbols.read()).buffer);
      return jobs.map((_, k) => {
        const own = new Int16Array(count);
        for (let step = 0; step < count; step++) own[order[step]] = all[2 * pairs * k + step];
        return own;
      });
    } finally {
      symbols.dispose();
    }
  }

  dispose(): void {
    for (const tensor of [this.#steps, this.#table]) tensor.dispose();
  }
}
