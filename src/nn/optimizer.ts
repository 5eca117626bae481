import { refuse } from '../common/arguments.js';
import { ArgumentError, CheckpointError, ShapeError } from '../common/errors.js';
import { formatShape, sameShape } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFloat32 } from '../ops/float32-constants.js';
import { checkTensor } from '../tensor/tape.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { checkTensors, type HostTensors, readTensors } from './host-tensor.js';

/** Name of the step count among the saved tensors; no parameter has it, since those carry the name of a kind of state. */
const STEP = 'step';

/**
 * Updates parameters in place from their gradients, with one kernel a parameter and nothing read back.
 * Its state (a few tensors a parameter, and the step count) can be saved and restored to the bit.
 */
export abstract class Optimizer {
  readonly params: ReadonlyMap<string, Tensor>;
  /** Learning rate of steps that are given none of their own; it may be changed between steps. */
  learningRate: number | undefined;
  /** Steps done so far. */
  stepCount = 0;
  readonly #state = new Map<string, Tensor>();
  readonly #stateNames: readonly string[];

  /**
   * @param params by name; the names stay the same over the life of a checkpoint
   * @param stateNames names of the tensors to keep for each parameter, zero at first
   */
  protected constructor(params: ReadonlyMap<string, Tensor>, stateNames: readonly string[], learningRate?: number) {
    checkParameters(this.constructor.name, params);
    if (learningRate !== undefined) checkRate(this.constructor.name, learningRate);
    this.learningRate = learningRate;
    if (params.size === 0) throw new ArgumentError('an optimizer needs at least one parameter');
    this.params = new Map(params);
    this.#stateNames = stateNames;
    for (const kind of stateNames) {
      for (const [name, { gpu, shape }] of params) {
        this.#state.set(`${kind}.${name}`, keep(Tensor.zeros(gpu, shape)));
      }
    }
  }

  /** Updates one parameter; `state` is in the order of `stateNames`. */
  protected abstract update(
    param: Tensor,
    grad: Tensor,
    state: readonly Tensor[],
    lr: () => number,
    scale?: Tensor,
  ): void;

  /**
   * One step. A parameter without a gradient stays as it is.
   *
   * @param grads gradient of each parameter, as `Tape.gradients` returns them
   * @param lr learning rate of this step; a function where the step is recorded and the rate changes. Default: `learningRate`
   * @param scale one number that multiplies all gradients, as `clipGradients` returns it
   * @throws ArgumentError for a learning rate that is not a finite number ≥ 0, or where no parameter has a gradient;
   * ShapeError for a gradient of another shape
   */
  step(grads: ReadonlyMap<Tensor, Tensor>, lr?: number | (() => number), scale?: Tensor): void {
    const given = typeof lr === 'function' ? lr : () => lr ?? this.learningRate;
    const rate = (): number => checkRate('step', given());
    rate();
    if (!(grads instanceof Map)) refuse('step', 'grads', grads, 'the map that Tape.gradients returns');
    if (![...this.params.values()].some((param) => grads.has(param))) {
      throw new ArgumentError(`step: none of the ${grads.size} gradients is of one of the optimizer's parameters`);
    }
    if (scale !== undefined) checkTensor('step', 'scale', scale);
    if (scale && scale.size !== 1)
      throw new ShapeError(`the gradient scale has shape [${scale.shape}]; expected one number`);
    for (const [name, param] of this.params) {
      const grad = grads.get(param);
      if (grad === undefined) continue;
      checkTensor('step', `the gradient of ${name}`, grad);
      if (!sameShape(grad.shape, param.shape)) {
        const shape = formatShape(grad.shape);
        throw new ShapeError(`the gradient of ${name} has shape ${shape}; expected ${formatShape(param.shape)}`);
      }
      if (grad.gpu !== param.gpu || (scale && scale.gpu !== param.gpu)) {
        throw new ArgumentError(`step: ${name}, its gradient and the scale live on different devices`);
      }
    }
    this.gpu.atEachRun(() => {
      rate(); // before anything of a recorded step is changed
      this.stepCount++;
    });
    for (const [name, param] of this.params) {
      const grad = grads.get(param);
      if (!grad) continue;
      const state = this.#stateNames.map((kind) => this.#state.get(`${kind}.${name}`)!);
      this.update(param, grad, state, rate, scale);
    }
  }

  /** The state by name (`kind.parameter`, and `step` for the step count), as it is at the moment of the call. */
  async saveState(): Promise<HostTensors> {
    const step = { shape: [], data: Float32Array.of(this.stepCount) };
    return (await readTensors(this.#state)).set(STEP, step);
  }

  /**
   * Restores what saveState returned; the next step is then the same to the bit.
   * @throws CheckpointError for tensors that are missing, unexpected or of another shape; nothing is changed then
   */
  loadState(state: HostTensors): void {
    const wanted = new Map<string, { shape: readonly number[] }>([...this.#state, [STEP, { shape: [] }]]);
    checkTensors(state, wanted, 'the optimizer');
    const step = state.get(STEP)!.data[0];
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new CheckpointError(`${STEP}: the file has ${step}; expected a count of steps`);
    }
    this.stepCount = step;
    for (const [name, tensor] of this.#state) tensor.write(state.get(name)!.data);
  }

  /** Frees the state, not the parameters. */
  dispose(): void {
    for (const tensor of this.#state.values()) tensor.dispose();
    this.#state.clear();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  protected get gpu(): Gpu {
    return this.params.values().next().value!.gpu;
  }
}

/** @throws ArgumentError if `params` is not a map of tensors by name */
function checkParameters(where: string, params: unknown): void {
  const expected = 'a map of tensors by name, as parameters() of a network returns it';
  if (!(params instanceof Map)) refuse(where, 'params', params, expected);
  for (const [name, param] of params) {
    if (typeof name !== 'string') refuse(where, 'the name of a parameter', name, 'a string');
    if (!(param instanceof Tensor)) refuse(where, `params "${name}"`, param, 'a tensor');
  }
}

function checkRate(where: string, lr: number | undefined): number {
  if (lr === undefined) refuse(where, 'the learning rate', lr, 'one here, or as learningRate of the optimizer');
  checkFloat32(where, 'the learning rate', lr, 0);
  return lr;
}

/** @throws ArgumentError unless low ≤ value < high, in float32 too */
export function checkHyperparameter(where: string, name: string, value: number, low: number, high: number): void {
  if (typeof value !== 'number' || !(value >= low && value < high)) {
    throw new ArgumentError(`${where}: ${name} is ${value}; expected a number in [${low}, ${high})`);
  }
  checkFloat32(where, name, value);
  if (Math.fround(value) >= high) {
    throw new ArgumentError(`${where}: ${name} is ${value}, which float32 rounds to ${high}; expected less`);
  }
}
