import { refuse } from '../common/arguments.js';
import { ArgumentError, DisposedError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { Program } from '../gpu/program.js';
import type { Recording } from '../gpu/recording.js';
import { type AnyTensor, keep, scope, Tensor } from './tensor.js';

/** Tensors by name. */
export type NamedTensors = Readonly<Record<string, AnyTensor>>;

/** A step that was recorded once and runs any number of times; `recordStep` makes it. */
export class RecordedStep<I extends NamedTensors, O extends NamedTensors> {
  readonly #program: Program;
  readonly #unplanned: number;

  constructor(
    /** Write to them before a run. They belong to the caller, and several steps may share them. */
    readonly inputs: I,
    /** They belong to the step; each run replaces their values. */
    readonly outputs: O,
    gpu: Gpu,
    recording: Recording,
  ) {
    this.#program = new Program(gpu, recording, new Set(Object.values(outputs).map(({ buffer }) => buffer)));
    this.#unplanned = recording.unplannedBytes;
  }

  /** Dispatches in one run. */
  get dispatches(): number {
    return this.#program.dispatches;
  }

  /** Bytes that the step holds, and its inputs. Its temporaries share memory with those of other steps on the device. */
  get plannedBytes(): number {
    return this.#program.plannedBytes + this.#inputBytes;
  }

  /** Maximum bytes that would be live at one time if the body ran by itself, inputs included. */
  get unplannedBytes(): number {
    return this.#unplanned + this.#inputBytes;
  }

  /**
   * Runs the step: submits what was recorded before, then all its dispatches. Results are in `outputs` when the GPU has
   * done them; reading waits for that.
   * @throws DisposedError after `dispose`, or where an input or a tensor that the body used has been disposed
   */
  run(): void {
    for (const [name, input] of Object.entries(this.inputs)) {
      if (input.disposed) throw new DisposedError(`the input ${name} of a recorded step has been disposed`);
    }
    this.#program.run();
  }

  /** Frees the step's memory and outputs, not its inputs. */
  dispose(): void {
    this.#program.dispose();
    for (const output of Object.values(this.outputs)) output.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #inputBytes(): number {
    return Object.values(this.inputs).reduce((sum, input) => sum + (input.disposed ? 0 : input.buffer.capacity), 0);
  }
}

/**
 * Records what `body` does, without doing it, for `run` to replay: with static shapes a step is the same list of
 * dispatches each time. Memory is planned by when values are used, and a run costs little time on the CPU.
 *
 * The body may use any tensor from outside (parameters, optimizer state), which a run then reads and changes in place.
 * What it uploads (`Tensor.from`) is a constant, uploaded once; values that change belong in `inputs`, or in arguments
 * that are functions (learning rate, noise stream), which each run calls. It cannot read or wait.
 *
 * @param inputs tensors to write before a run; their shapes are fixed with them
 * @param body returns the results by name
 * @throws ArgumentError if the body reads, waits, writes to a tensor from outside or changes a constant
 * @throws OutOfMemoryError
 */
export function recordStep<I extends NamedTensors, O extends NamedTensors>(
  gpu: Gpu,
  inputs: I,
  body: (inputs: I) => O,
): RecordedStep<I, O> {
  const { recording, result } = gpu.capture(() => scope(gpu, () => body(inputs)));
  const isObject = typeof result === 'object' && result !== null && !(result instanceof Tensor);
  if (!isObject) refuse('recordStep', 'the result', result, 'an object of tensors');
  const own = Object.values(result).filter((output) => recording.owns(output.buffer));
  for (const output of own) keep(output);
  try {
    for (const [name, output] of Object.entries(result)) {
      if (!own.includes(output))
        throw new ArgumentError(`recordStep: output ${name} is a tensor from outside the step`);
    }
    return new RecordedStep(inputs, result, gpu, recording);
  } catch (error) {
    for (const output of own) output.dispose();
    throw error;
  }
}
