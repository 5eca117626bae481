import { checkOptions, isList, refuse } from '../common/arguments.js';
import { ArgumentError, ShapeError } from '../common/errors.js';
import { sizeOf } from '../common/shapes.js';
import type { Gpu } from '../gpu/gpu.js';
import { Module } from '../nn/module.js';
import type { Parameter } from '../nn/parameter.js';
import { dropout } from '../ops/dropout.js';
import { isTapeRecording } from '../tensor/tape.js';
import { type AnyTensor, keep, scope, Tensor } from '../tensor/tensor.js';
import type { GraphStep, Plan } from './graph-plan.js';
import type { GraphProto, ModelProto, ValueProto } from './model.js';
import { Context, type NodeView, type Surroundings } from './operator.js';
import { onNode, planGraph } from './plan.js';
import { hostType, tensorValues } from './tensor-values.js';
import { GpuValue, HostValue, type Value, viewed } from './values.js';

/** An array on the host as an input of a network, for what must be known before the GPU runs, such as sizes. */
export interface HostArray {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** An input of an imported network: a tensor, a list of numbers, or an array on the host. */
export type OnnxInput = AnyTensor | ArrayLike<number> | HostArray | number;

/** Options of an imported network. */
export interface OnnxModuleOptions {
  /** Order of inputs and outputs with four axes: as in the file (default), or [N, H, W, C]. */
  layout?: 'file' | 'nhwc';
  /** For dropout in training: unsigned 32-bit integer (default 0). */
  seed?: number;
  /** The number of the present step, for dropout in a recorded step; see `Dropout`. */
  step?: () => number;
}

/** The most nodes that a call runs, with those of loops. */
const MOST_STEPS = 2 ** 22;

/** Values by name, with those of the graph around. */
class Values {
  readonly #own = new Map<string, Value>();

  constructor(readonly outer: Values | null = null) {}

  get(name: string): Value | undefined {
    return this.#own.get(name) ?? this.outer?.get(name);
  }

  set(name: string, value: Value): void {
    this.#own.set(name, value);
  }

  /** Forgets a value, and frees its tensors if no other value has them. */
  free(name: string): void {
    const value = this.#own.get(name);
    this.#own.delete(name);
    if (value instanceof GpuValue) for (const x of value.tensors()) if (!this.holds(x)) x.dispose();
  }

  holds(x: AnyTensor): boolean {
    for (const value of this.#own.values()) if (value instanceof GpuValue && value.holds(x)) return true;
    return this.outer?.holds(x) ?? false;
  }
}

/**
 * A network of an ONNX file. Its weights are parameters under the names of the file, except those of convolutions in the order of this
 * engine, [kh, kw, in, out]. It runs operation by operation, so that tapes, recorded steps, and any sizes of its inputs work.
 */
export class OnnxModule extends Module {
  /** Names of the inputs, in order. */
  readonly inputNames: readonly string[];
  /** Names of the outputs, in order. */
  readonly outputNames: readonly string[];
  readonly #gpu: Gpu;
  readonly #options: OnnxModuleOptions;
  readonly #inputs: readonly ValueProto[];
  readonly #opset: number;
  readonly #plan: Plan;
  readonly #plans = new Map<GraphProto, Plan>();
  readonly #parameters: Map<string, Parameter>;
  readonly #uploads = new Map<HostValue, AnyTensor>();
  readonly #constants: Set<HostValue>;
  #passes = 0;

  /** Made by `importOnnx`. */
  constructor(gpu: Gpu, model: ModelProto, plan: Plan, parameters: Map<string, Parameter>, options: OnnxModuleOptions) {
    super();
    this.#gpu = gpu;
    this.#options = options;
    this.#plan = plan;
    this.#parameters = parameters;
    this.#opset = model.opsets.get('') ?? 0;
    this.inputNames = plan.inputs;
    this.outputNames = plan.outputs;
    this.#inputs = plan.inputs.map((name) => model.graph.inputs.find((input) => input.name === name)!);
    this.#constants = new Set(plan.constants.values());
    this.training = false;
  }

  /** Parameters and buffers by their names in the file. */
  override entries(): Map<string, Parameter> {
    return new Map(this.#parameters);
  }

  /** Not for a network with the weights of a file. @throws ArgumentError */
  override initialize(): this {
    throw new ArgumentError('initialize: an imported network has the weights of its file');
  }

  /** Sizes of an input that the file tells, with names or null for what a call may choose; null if it tells none. */
  inputShape(name: string): readonly (number | string | null)[] | null {
    return this.#input(name).shape;
  }

  /**
   * Runs the network.
   * @param inputs its inputs in order, or one object with inputs by name
   * @returns its output, or an object of them by name if there are several
   * @throws ShapeError, ArgumentError, UnsupportedModelError that name the node
   */
  forward(...inputs: readonly (OnnxInput | Record<string, OnnxInput>)[]): Tensor | Record<string, AnyTensor> {
    const outputs = this.run(this.#byName(inputs));
    return this.outputNames.length === 1 ? (outputs[this.outputNames[0]] as Tensor) : outputs;
  }

  #byName(inputs: readonly unknown[]): Record<string, OnnxInput> {
    const [first] = inputs;
    const isObject = typeof first === 'object' && first !== null && !(first instanceof Tensor) && !isList(first);
    if (inputs.length === 1 && isObject && !('data' in first && 'shape' in first))
      return first as Record<string, OnnxInput>;
    if (inputs.length > this.inputNames.length) {
      throw new ArgumentError(
        `forward: ${inputs.length} inputs; expected ${this.inputNames.length}: ${this.inputNames.join(', ')}`,
      );
    }
    return Object.fromEntries(inputs.map((input, k) => [this.inputNames[k], input as OnnxInput]));
  }

  /** Runs the network with inputs by name. @returns all outputs by name. @throws as `forward` */
  run(inputs: Record<string, OnnxInput>): Record<string, AnyTensor> {
    const compute = (): Record<string, AnyTensor> => {
      const given = this.#inputValues(inputs);
      const returned = new Set<AnyTensor>();
      const output = (value: Value): AnyTensor => {
        const x = this.#outputTensor(value);
        // The caller may dispose of each, and the inputs and parameters stay.
        const own = returned.has(x) || given.holds(x) ? viewed(x, x.shape) : x;
        returned.add(own);
        return own;
      };
      const values = this.#execute(given);
      return Object.fromEntries(this.outputNames.map((name, k) => [name, output(values[k])]));
    };
    return isTapeRecording() ? compute() : scope(this.#gpu, compute);
  }

  /** As `run`, but values that are known on the host stay there. For tests; call it in a scope. */
  evaluate(inputs: Record<string, OnnxInput>): Value[] {
    return this.#execute(this.#inputValues(inputs));
  }

  override dispose(): void {
    super.dispose();
    for (const x of this.#uploads.values()) x.dispose();
    this.#uploads.clear();
  }

  #input(name: string): ValueProto {
    return (
      this.#inputs.find((input) => input.name === name) ?? refuse('run', 'input', name, this.inputNames.join(', '))
    );
  }

  #inputValues(inputs: Record<string, OnnxInput>): Values {
    checkOptions('run', inputs, this.inputNames);
    const values = new Values();
    for (const [name, constant] of this.#plan.constants) values.set(name, constant);
    for (const [name, { tensor, layout }] of this.#parameters) {
      values.set(name, layout === 'plain' ? GpuValue.file(tensor) : GpuValue.kernel(tensor));
    }
    for (const input of this.#inputs) {
      if (inputs[input.name] === undefined) throw new ArgumentError(`run: the input "${input.name}" is missing`);
      values.set(input.name, this.#inputValue(input, inputs[input.name]));
    }
    return values;
  }

  #inputValue({ name, type, shape }: ValueProto, given: OnnxInput): Value {
    const expected = hostType(type)!;
    const checkRank = (rank: number): void => {
      if (shape && shape.length !== rank) {
        throw new ShapeError(
          `run: the input "${name}" has ${rank} axes; expected ${shape.length}: [${shape.map((size) => size ?? '?')}]`,
        );
      }
    };
    if (given instanceof Tensor) {
      checkRank(given.shape.length);
      const dtype = expected === 'int64' ? 'int32' : expected;
      if (given.dtype !== dtype) refuse('run', `the input "${name}"`, given.dtype, `a tensor of ${dtype}`);
      return this.#options.layout === 'nhwc' && given.shape.length === 4 ? GpuValue.last(given) : GpuValue.file(given);
    }
    if (typeof given === 'number') return HostValue.of(expected, [], () => given);
    const array: HostArray = isList(given)
      ? { shape: [given.length], data: given as ArrayLike<number> }
      : (given as HostArray);
    if (!isList(array?.shape) || !isList(array.data))
      refuse('run', `the input "${name}"`, given, 'a tensor, or an array of shape and data');
    checkRank(array.shape.length);
    if (sizeOf(array.shape) !== array.data.length)
      throw new ShapeError(`run: the input "${name}" has ${array.data.length} values for [${array.shape}]`);
    return HostValue.of(expected, array.shape, (i) => Number(array.data[i]));
  }

  #outputTensor(value: Value): AnyTensor {
    if (value instanceof HostValue) return value.upload(this.#gpu);
    return this.#options.layout === 'nhwc' && value.shape.length === 4 ? value.last() : value.file();
  }

  #execute(values: Values): Value[] {
    const around = this.#surroundings();
    let count = 0;
    const runGraph = (plan: Plan, inner: Values): Value[] => {
      for (const step of plan.steps) {
        if (++count > MOST_STEPS) throw new ArgumentError(`run: loops run more than ${MOST_STEPS} nodes`);
        const inside = around((graph, inputs) => runGraph(this.#planOf(graph), this.#enter(graph, inputs, inner)));
        for (const one of step.parts && !inside.fuses ? step.parts : [step]) this.#runStep(one, inner, inside);
      }
      return plan.outputs.map((name) => inner.get(name)!);
    };
    return runGraph(this.#plan, values);
  }

  #planOf(graph: GraphProto): Plan {
    let plan = this.#plans.get(graph);
    if (!plan) {
      const initial = new Map(graph.initializers.map((tensor) => [tensor.name, tensorValues(tensor)]));
      plan = planGraph(graph, this.#opset, initial);
      this.#plans.set(graph, plan);
    }
    return plan;
  }

  #enter(graph: GraphProto, inputs: readonly Value[], outer: Values): Values {
    const plan = this.#planOf(graph);
    const values = new Values(outer);
    for (const [name, constant] of plan.constants) values.set(name, constant);
    plan.inputs.forEach((name, k) => {
      values.set(name, inputs[k]);
    });
    return values;
  }

  /** Runs a node. Unless a tape records, what it leaves behind is freed, and what nothing needs any more. */
  #runStep(step: GraphStep, values: Values, around: Surroundings): void {
    const { view, operator } = step;
    const inputs = step.inputs.map((name) => (name ? values.get(name) : undefined));
    const compute = (): readonly Value[] => {
      const known = inputs.every((value) => value === undefined || value instanceof HostValue);
      const f = operator.host && (known || !operator.run) ? operator.host : operator.run!;
      const results = onNode(view, () => f(new Context(view, inputs, around)));
      return Array.isArray(results) ? results : [results as Value];
    };
    let results: readonly Value[] = [];
    if (isTapeRecording()) results = compute();
    else {
      scope(this.#gpu, () => {
        results = compute();
        // Inputs may have got another order of their elements, which stays with them.
        const kept = [...results, ...inputs, ...step.captured.map((name) => values.get(name))];
        return kept.flatMap((value) => (value instanceof GpuValue ? value.tensors() : []));
      });
    }
    results.forEach((value, k) => {
      if (step.outputs[k]) values.set(step.outputs[k], value);
    });
    if (!isTapeRecording()) for (const name of step.dies) values.free(name);
  }

  #surroundings(): (runGraph: (graph: GraphProto, inputs: readonly Value[]) => Value[]) => Surroundings {
    const pass = this.training && !this.#options.step ? this.#passes++ : 0;
    const base = {
      gpu: this.#gpu,
      training: this.training,
      fuses: !this.training && !isTapeRecording(),
      upload: (value: HostValue) => this.#upload(value),
      drop: (x: Tensor, rate: number, node: NodeView) => this.#drop(x, rate, node, pass),
    };
    return (runGraph) => ({ ...base, runGraph });
  }

  #drop(x: Tensor, rate: number, node: NodeView, pass: number): Tensor {
    const { seed = 0, step } = this.#options;
    if (!step) this.#gpu.assertNotRecording('dropout counts its steps (give importOnnx the option step)');
    const index = this.#plan.steps.findIndex(({ view }) => view.proto === node.proto);
    return dropout(x, { rate, seed: (seed + index) >>> 0, stream: step ?? pass });
  }

  /** Constants are uploaded once, but not those that a recording would own. */
  #upload(value: HostValue): AnyTensor {
    const known = this.#uploads.get(value);
    if (known) return known;
    const x = value.upload(this.#gpu);
    if (!this.#constants.has(value) || this.#gpu.isRecording) return x;
    this.#uploads.set(value, keep(x));
    return x;
  }
}
