import { checkOptions, checkWord, refuse } from '../common/arguments.js';
import { ArgumentError } from '../common/errors.js';
import { CounterRandom } from '../common/random.js';
import { Gpu } from '../gpu/gpu.js';
import type { InferenceBatchNorm } from '../ops/conv/inference.js';
import type { Tensor } from '../tensor/tensor.js';
import { hashName } from './init.js';
import { Parameter, type ParameterSpec } from './parameter.js';
import { readSafetensors, writeSafetensors } from './safetensors.js';
import { type LoadOptions, type LoadResult, loadState, saveState } from './state.js';

/**
 * A part of a network: its own parameters and buffers, and other modules, all by name. Full names are joined by dots,
 * as in PyTorch: `encoder.0.weight`. Subclasses register what they hold in the constructor, which needs no GPU;
 * `initialize` or `loadState` then gives the values.
 */
export abstract class Module {
  /** True while layers should use the statistics of the batch; see `train` and `eval`. */
  training = true;
  readonly #own = new Map<string, Parameter>();
  readonly #children = new Map<string, Module>();

  /** Registers a tensor that optimizers change. */
  protected parameter(name: string, spec: ParameterSpec): Parameter {
    return this.#register(new Parameter(name, spec, true));
  }

  /** Registers a tensor that is saved, but that no optimizer changes. */
  protected buffer(name: string, spec: ParameterSpec): Parameter {
    return this.#register(new Parameter(name, spec, false));
  }

  /** Registers a part. */
  protected child<M extends Module>(name: string, module: M): M {
    if (!(module instanceof Module)) refuse(this.constructor.name, `the part "${name}"`, module, 'a module');
    this.#checkName(name);
    this.#children.set(name, module);
    return module;
  }

  /** Every parameter and buffer by its full name, in the order of registration. */
  entries(): Map<string, Parameter> {
    const all = new Map(this.#own);
    for (const [prefix, child] of this.#children) {
      for (const [name, parameter] of child.entries()) all.set(`${prefix}.${name}`, parameter);
    }
    return all;
  }

  /**
   * What an optimizer changes, by full name: not what `freeze` froze.
   * @throws ArgumentError before the module has values
   */
  parameters(): Map<string, Tensor> {
    return this.#tensors(({ trainable, frozen }) => trainable && !frozen);
  }

  /**
   * What a checkpoint holds: parameters and buffers, by full name.
   * @throws ArgumentError before the module has values
   */
  stateTensors(): Map<string, Tensor> {
    return this.#tensors(() => true);
  }

  /** Number of values in all parameters. */
  get parameterCount(): number {
    let count = 0;
    for (const { shape, trainable } of this.entries().values()) {
      if (trainable) count += shape.reduce((size, extent) => size * extent, 1);
    }
    return count;
  }

  /**
   * Gives every parameter and buffer its first values. They depend on the seed and the full name alone, so a layer
   * that is added elsewhere does not change them.
   * @param seed unsigned 32-bit integer
   * @throws ArgumentError for anything else
   */
  initialize(gpu: Gpu, seed: number): this {
    if (!(gpu instanceof Gpu)) refuse('initialize', 'gpu', gpu, 'a Gpu');
    checkWord('initialize', 'seed', seed);
    for (const [name, parameter] of this.entries()) {
      parameter.set(gpu, parameter.init(parameter.shape, new CounterRandom(seed, hashName(name))));
    }
    return this;
  }

  /** Switches this module and its parts to training, or back with false. */
  train(training = true): this {
    this.training = training;
    for (const child of this.#children.values()) child.train(training);
    return this;
  }

  /** Switches to evaluation: fixed statistics, the same result for a picture whatever else is in its batch. */
  eval(): this {
    return this.train(false);
  }

  /**
   * Keeps optimizers from changing parameters: `parameters` leaves them out. An optimizer that was made before still holds them.
   * @param prefix of full names, such as `encoder.`; default: all
   * @param frozen false lets them go again
   * @throws ArgumentError if no parameter has such a name
   */
  freeze(prefix = '', frozen = true): this {
    const chosen = [...this.entries()].filter(([name, { trainable }]) => trainable && name.startsWith(prefix));
    if (chosen.length === 0) refuse('freeze', 'prefix', prefix, 'the beginning of the full name of a parameter');
    for (const [, parameter] of chosen) parameter.frozen = frozen;
    return this;
  }

  /**
   * All parameters and buffers as a safetensors file.
   * @throws ArgumentError before the module has values
   */
  async save(): Promise<Uint8Array> {
    return writeSafetensors(await saveState(this));
  }

  /**
   * Takes the values of a safetensors file, as `loadState`.
   * @param options.gpu needed where the module has no values yet
   * @param options.partial take what fits by name and shape, and leave the rest as it is; default false
   * @returns what was left out
   * @throws CheckpointError for a file that does not fit, or is none; the module is unchanged then
   */
  load(bytes: Uint8Array, options?: LoadOptions & { gpu?: Gpu }): LoadResult {
    if (!ArrayBuffer.isView(bytes)) refuse('load', 'bytes', bytes, 'the bytes of a safetensors file');
    const { gpu, partial } = checkOptions('load', options, ['gpu', 'partial']);
    return loadState(this, readSafetensors(bytes).tensors, gpu, { partial });
  }

  /** Runs `body` with this module and its parts in evaluation, and then sets each back to what it was. */
  evaluating<T>(body: () => T): T {
    const all: [Module, boolean][] = [];
    const visit = (module: Module): void => {
      all.push([module, module.training]);
      for (const child of module.#children.values()) visit(child);
    };
    visit(this);
    this.eval();
    try {
      return body();
    } finally {
      for (const [module, training] of all) module.training = training;
    }
  }

  /** Frees all parameters and buffers. */
  dispose(): void {
    for (const parameter of this.entries().values()) parameter.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #tensors(wanted: (parameter: Parameter) => boolean): Map<string, Tensor> {
    const chosen = [...this.entries()].filter(([, parameter]) => wanted(parameter));
    return new Map(chosen.map(([name, parameter]) => [name, parameter.tensor]));
  }

  #register(parameter: Parameter): Parameter {
    this.#checkName(parameter.name);
    this.#own.set(parameter.name, parameter);
    return parameter;
  }

  #checkName(name: string): void {
    if (name === '' || name.includes('.')) throw new ArgumentError(`"${name}" is no name for a part of a module`);
    if (this.#own.has(name) || this.#children.has(name)) {
      throw new ArgumentError(`the module has two parts named "${name}"`);
    }
  }
}

/** A module that maps one tensor to another, recorded on the active tape. */
export abstract class Layer extends Module {
  abstract forward(x: Tensor): Tensor;
}

/** The output of a layer and of as many of those that follow it. */
export interface FusedForward {
  output: Tensor;
  followers: number;
}

/**
 * What some layers add to `Layer`, so that several run as one operation. `Sequential` asks them and knows no classes of layers: so it
 * brings none into a program. An object of a derived class, which may have its own forward pass, is not fused.
 */
export interface FusibleLayer extends Layer {
  /** Runs this layer and the first of those that follow as one operation; null if they do not allow it. */
  forwardFused?(x: Tensor, following: readonly FusibleLayer[]): FusedForward | null;
  /** Of a batch norm: what it does with running statistics; null in training, and while a tape records. */
  fusedNorm?(): InferenceBatchNorm | null;
  /** Of a PReLU: its slopes. */
  fusedSlopes?(): Tensor | null;
}
