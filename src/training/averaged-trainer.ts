import type { Gpu } from '../gpu/gpu.js';
import { Adam } from '../nn/adam.js';
import { clipGradients } from '../nn/clip.js';
import { type HostTensors, withoutPrefix } from '../nn/host-tensor.js';
import type { Layer } from '../nn/module.js';
import { cosine, type Schedule, warmUp } from '../nn/schedule.js';
import { loadState, saveState } from '../nn/state.js';
import { averageDecay, averageWeights } from '../nn/weight-average.js';
import { Tape } from '../ops/tape.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import type { AveragedTrainerConfig } from './averaged-config.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint, writeCheckpoint } from './checkpoint.js';
import { assertSameConfig } from './same-config.js';
import { assertSameSource, type TrainingSource } from './training-source.js';

/** What is trained, and by which loss. */
export interface AveragedTask<Config, Net extends Layer, Input extends string, Figure extends string> {
  format: CheckpointFormat<CheckpointState<Config>>;
  /** Makes the network, without values. */
  network: () => Net;
  /** Shapes of the inputs of a step; `x` goes through the network. */
  shapes: Readonly<Record<Input | 'x', readonly number[]>>;
  /** Scalars; gradients are of `loss`. */
  figures: (outputs: Tensor, inputs: Readonly<Record<Input | 'x', Tensor>>) => Record<Figure | 'loss', Tensor>;
}

/** Results of a step: the scalars of its task. */
export type AveragedStep<Figure extends string> = { step: number; learningRate: number } & Record<
  Figure | 'loss',
  number
>;

/**
 * Trains a network by AdamW, and keeps a running average of its weights. All state is in the checkpoint, so a resumed
 * run computes the same bits as one that was not stopped.
 */
export class AveragedTrainer<
  Config extends AveragedTrainerConfig,
  Net extends Layer,
  Input extends string,
  Figure extends string,
> {
  /** Steps done. */
  step = 0;
  /** The network of the averaged weights: the one to use. */
  readonly network: Net;
  readonly #trained: Net;
  readonly #optimizer: Adam;
  readonly #schedule: Schedule;
  readonly #inputs: Record<Input | 'x', Tensor>;
  #recorded: RecordedStep<Record<Input | 'x', Tensor>, Record<Figure | 'loss', Tensor>> | null = null;

  constructor(
    private readonly gpu: Gpu,
    readonly config: Config,
    private readonly task: AveragedTask<Config, Net, Input, Figure>,
    /** Noted in checkpoints, and compared with what they note. */
    readonly source: TrainingSource | null = null,
  ) {
    const { seed, learningRate, steps, warmUpSteps, weightDecay } = config;
    this.#trained = task.network().initialize(gpu, seed);
    this.network = task.network().initialize(gpu, seed);
    this.network.eval();
    this.#optimizer = new Adam(this.#trained.parameters(), { weightDecay, decoupled: true });
    this.#schedule = warmUp(cosine(learningRate, Math.max(1, steps - warmUpSteps)), warmUpSteps);
    const shapes = Object.entries(task.shapes) as [Input | 'x', readonly number[]][];
    this.#inputs = Object.fromEntries(
      shapes.map(([name, shape]) => [name, keep(Tensor.zeros(gpu, shape))]),
    ) as unknown as Record<Input | 'x', Tensor>;
  }

  /** One step. @param batch values of each input */
  async train(batch: Readonly<Record<Input | 'x', Float32Array>>): Promise<AveragedStep<Figure>> {
    const recorded = this.#step();
    for (const name of Object.keys(this.#inputs) as (Input | 'x')[]) recorded.inputs[name].write(batch[name]);
    recorded.run();
    const outputs = Object.entries(recorded.outputs) as [Figure | 'loss', Tensor][];
    const figures = await Promise.all(outputs.map(async ([name, figure]) => [name, await figure.item()] as const));
    const { step } = this;
    const learningRate = this.#schedule(step);
    this.step++;
    return { step, learningRate, ...Object.fromEntries(figures) } as unknown as AveragedStep<Figure>;
  }

  #step() {
    if (this.#recorded) return this.#recorded;
    const { clipNorm, averageDecay: decay } = this.config;
    this.#trained.train();
    this.#recorded = recordStep(this.gpu, this.#inputs, (inputs) => {
      const tape = new Tape();
      const figures = tape.record(() => this.task.figures(this.#trained.forward(inputs.x), inputs));
      const grads = tape.gradients(figures.loss, [...this.#trained.parameters().values()]);
      const { scale } = clipGradients(grads.values(), clipNorm);
      this.#optimizer.step(grads, () => this.#schedule(this.step), scale);
      averageWeights(this.network, this.#trained, () => averageDecay(decay, this.step));
      return figures;
    });
    return this.#recorded;
  }

  /** Gives a new run the weights of another. @throws CheckpointError for those of another network */
  startFrom(weights: HostTensors): void {
    loadState(this.#trained, weights);
    loadState(this.network, weights);
  }

  /** Everything needed to go on: a safetensors file. */
  async checkpoint(): Promise<Uint8Array> {
    const { step, config, source } = this;
    return writeCheckpoint(
      this.task.format,
      { step, config, source },
      {
        model: await saveState(this.#trained),
        optimizer: await this.#optimizer.saveState(),
        average: await saveState(this.network),
      },
    );
  }

  /**
   * Goes on from a checkpoint. Only `steps` may differ from the checkpoint's: this shortens or lengthens the run, and
   * with it the learning-rate schedule from here on.
   * @throws CheckpointError for a file that is not one, or was made with another configuration or from other photographs
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(this.task.format, bytes);
    assertSameConfig(state.config, this.config);
    if (state.source && this.source) assertSameSource(state.source, this.source);
    loadState(this.#trained, withoutPrefix(tensors, 'model.'));
    this.#optimizer.loadState(withoutPrefix(tensors, 'optimizer.'));
    loadState(this.network, withoutPrefix(tensors, 'average.'));
    this.step = state.step;
  }

  dispose(): void {
    this.#recorded?.dispose();
    for (const input of Object.values<Tensor>(this.#inputs)) input.dispose();
    this.#optimizer.dispose();
    this.network.dispose();
    this.#trained.dispose();
  }
}
