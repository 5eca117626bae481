import { countCells } from '../../detection/cells.js';
import type { Gpu } from '../../gpu/gpu.js';
import { SingleShotDetector } from '../../models/single-shot.js';
import { Adam } from '../../nn/adam.js';
import { clipGradients } from '../../nn/clip.js';
import { withoutPrefix } from '../../nn/host-tensor.js';
import { cosine, type Schedule, warmUp } from '../../nn/schedule.js';
import { loadState, saveState } from '../../nn/state.js';
import { averageDecay, averageWeights } from '../../nn/weight-average.js';
import { add } from '../../ops/binary.js';
import { type RecordedStep, recordStep } from '../../tensor/recorded-step.js';
import { Tape } from '../../tensor/tape.js';
import { keep, Tensor } from '../../tensor/tensor.js';
import { type CheckpointFormat, type CheckpointState, parseCheckpoint, writeCheckpoint } from '../checkpoint.js';
import { assertSameConfig } from '../same-config.js';
import { assertSameSource, type TrainingSource } from '../training-source.js';
import type { DetectorBatch } from './batches.js';
import { checkDetectorTraining, type DetectorTrainingConfig } from './config.js';
import { detectorLoss, type TargetTensors } from './loss.js';
import { PLACE_VALUES } from './targets.js';

/** Figures of one step. */
export interface DetectorStep {
  step: number;
  /** what the gradients are of */
  loss: number;
  /** the focal loss of scores, and the losses of boxes and landmarks, for a cell that sees a face */
  scores: number;
  places: number;
  learningRate: number;
}

type DetectorInputs = { x: Tensor } & { [K in keyof TargetTensors]: Tensor };
type StepFigures = { loss: Tensor; scores: Tensor; places: Tensor };

const FORMAT: CheckpointFormat<CheckpointState<DetectorTrainingConfig>> = {
  key: 'cameo.detector-checkpoint',
  training: 'detector training',
  check: (state) => ({ ...state, config: checkDetectorTraining(state.config) }),
};

/**
 * Trains a single-shot detector on mosaics. All state is in the checkpoint, so a resumed run computes the same bits as one that was not
 * stopped.
 */
export class DetectorTrainer {
  /** Steps done. */
  step = 0;
  /** The network of the averaged weights: the one to use. */
  readonly network: SingleShotDetector;
  readonly #trained: SingleShotDetector;
  readonly #optimizer: Adam;
  readonly #schedule: Schedule;
  readonly #inputs: DetectorInputs;
  #recorded: RecordedStep<DetectorInputs, StepFigures> | null = null;

  constructor(
    private readonly gpu: Gpu,
    readonly config: DetectorTrainingConfig,
    /** Noted in checkpoints, and compared with what they note. */
    readonly source: TrainingSource | null = null,
  ) {
    const { batchSize, side, seed, learningRate, steps, warmUpSteps, weightDecay } = checkDetectorTraining(config);
    this.#trained = new SingleShotDetector(config.model).initialize(gpu, seed);
    this.network = new SingleShotDetector(config.model).initialize(gpu, seed);
    this.network.eval();
    this.#optimizer = new Adam(this.#trained.parameters(), { weightDecay, decoupled: true });
    this.#schedule = warmUp(cosine(learningRate, Math.max(1, steps - warmUpSteps)), warmUpSteps);
    const cells = countCells(side, side);
    const zeros = (shape: number[]): Tensor => keep(Tensor.zeros(gpu, shape));
    this.#inputs = {
      x: zeros([batchSize, side, side, 3]),
      positive: zeros([batchSize, cells, 1]),
      negative: zeros([batchSize, cells, 1]),
      place: zeros([batchSize, cells, PLACE_VALUES]),
      scale: zeros([batchSize, cells, PLACE_VALUES]),
      weight: zeros([batchSize, cells, PLACE_VALUES]),
    };
  }

  async train({ images, targets }: DetectorBatch): Promise<DetectorStep> {
    const recorded = this.#step();
    const { x, ...wanted } = recorded.inputs;
    x.write(images);
    for (const name of Object.keys(wanted) as (keyof TargetTensors)[]) wanted[name].write(targets[name]);
    recorded.run();
    const { outputs } = recorded;
    const [loss, scores, places] = await Promise.all(
      [outputs.loss, outputs.scores, outputs.places].map((figure) => figure.item()),
    );
    const { step } = this;
    const learningRate = this.#schedule(step);
    this.step++;
    return { step, loss, scores, places, learningRate };
  }

  #step(): RecordedStep<DetectorInputs, StepFigures> {
    if (this.#recorded) return this.#recorded;
    const { clipNorm, averageDecay: decay } = this.config;
    this.#trained.train();
    this.#recorded = recordStep(this.gpu, this.#inputs, ({ x, ...targets }) => {
      const tape = new Tape();
      const figures = tape.record(() => {
        const { scores, places } = detectorLoss(this.#trained.forward(x), targets);
        return { loss: add(scores, places), scores, places };
      });
      const grads = tape.gradients(figures.loss, [...this.#trained.parameters().values()]);
      const { scale } = clipGradients(grads.values(), clipNorm);
      this.#optimizer.step(grads, () => this.#schedule(this.step), scale);
      averageWeights(this.network, this.#trained, () => averageDecay(decay, this.step));
      return figures;
    });
    return this.#recorded;
  }

  /** Everything needed to go on: a safetensors file. */
  async checkpoint(): Promise<Uint8Array> {
    const { step, config, source } = this;
    return writeCheckpoint(
      FORMAT,
      { step, config, source },
      {
        model: await saveState(this.#trained),
        optimizer: await this.#optimizer.saveState(),
        average: await saveState(this.network),
      },
    );
  }

  /** The training config that a checkpoint was made with. */
  static configOf(bytes: Uint8Array): DetectorTrainingConfig {
    return parseCheckpoint(FORMAT, bytes).state.config;
  }

  /**
   * Goes on from a checkpoint. `steps` alone may differ from the checkpoint's: that shortens or lengthens the run, and
   * with it the learning-rate schedule from here on.
   * @throws CheckpointError for a file that is none, or was made with another configuration or from other photographs
   */
  restore(bytes: Uint8Array): void {
    const { tensors, state } = parseCheckpoint(FORMAT, bytes);
    assertSameConfig(state.config, this.config);
    if (state.source && this.source) assertSameSource(state.source, this.source);
    loadState(this.#trained, withoutPrefix(tensors, 'model.'));
    this.#optimizer.loadState(withoutPrefix(tensors, 'optimizer.'));
    loadState(this.network, withoutPrefix(tensors, 'average.'));
    this.step = state.step;
  }

  dispose(): void {
    this.#recorded?.dispose();
    for (const input of Object.values(this.#inputs)) input.dispose();
    this.#optimizer.dispose();
    this.network.dispose();
    this.#trained.dispose();
  }
}
