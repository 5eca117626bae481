import { ArgumentError } from '../common/errors.js';
import { checkShape } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { keep, Tensor } from '../tensor/tensor.js';
import type { Initializer } from './init.js';

/**
 * What a parameter is, which decides how PyTorch orders its axes:
 *
 * | layout | here | PyTorch |
 * |---|---|---|
 * | conv | [kh, kw, Cin/groups, Cout] | [Cout, Cin/groups, kh, kw] |
 * | convTranspose | [kh, kw, Cout/groups, Cin] | [Cin, Cout/groups, kh, kw] |
 * | linear | [in, out] | [out, in] |
 * | plain | any | the same |
 *
 * A linear layer that follows a flattened picture also sees its inputs in another order (here rows, columns, channels;
 * PyTorch channels, rows, columns); no layout says so, and such weights must be reordered by hand.
 */
export type ParameterLayout = 'plain' | 'conv' | 'convTranspose' | 'linear';

export interface ParameterSpec {
  readonly shape: readonly number[];
  readonly init: Initializer;
  /** Default plain. */
  readonly layout?: ParameterLayout;
}

/** A named tensor of a module. It has no values, and needs no GPU, until the module is initialised or loaded. */
export class Parameter {
  readonly shape: readonly number[];
  readonly init: Initializer;
  readonly layout: ParameterLayout;
  /** True keeps optimizers from changing it; see `Module.freeze`. */
  frozen = false;
  #tensor: Tensor | null = null;

  constructor(
    /** Name within its module. */
    readonly name: string,
    { shape, init, layout = 'plain' }: ParameterSpec,
    /** False for buffers, which no optimizer changes. */
    readonly trainable: boolean,
  ) {
    checkShape(`parameter "${name}"`, shape);
    this.shape = shape;
    this.init = init;
    this.layout = layout;
  }

  /** @throws ArgumentError before the first values */
  get tensor(): Tensor {
    if (!this.#tensor) {
      const what = `parameter "${this.name}" [${this.shape}]`;
      throw new ArgumentError(`${what} has no values: call initialize(gpu, seed) or loadState on the network first`);
    }
    return this.#tensor;
  }

  get hasValues(): boolean {
    return this.#tensor !== null;
  }

  /** Gives it values; the tensor stays the same object from the first time on. */
  set(gpu: Gpu, values: Float32Array): void {
    if (this.#tensor) this.#tensor.write(values);
    else this.#tensor = keep(Tensor.from(gpu, values, this.shape));
  }

  dispose(): void {
    this.#tensor?.dispose();
    this.#tensor = null;
  }
}
