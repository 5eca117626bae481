import { readKlt } from '../codec/codec-weights.js';
import { CounterRandom } from '../common/random.js';
import type { Gpu } from '../gpu/gpu.js';
import { KltAutoencoder, quantizationInputs } from '../models/klt-autoencoder.js';
import type { HostTensors } from '../nn/host-tensor.js';
import { affine } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';
import { type CheckpointFormat, networkIn, parseCheckpoint } from './checkpoint.js';
import { checkJointTraining, type JointStage, type JointTrainingConfig, withNewJointNames } from './joint-config.js';
import { SimulatedEncoder } from './simulated-encoder.js';
import type { CodecPass, JointState, StepPlan, Tensors, TrainedCodec } from './trained-codec.js';

const FORMAT: CheckpointFormat<JointState<JointTrainingConfig>> = {
  key: 'cameo.joint-checkpoint',
  training: 'joint training of the codec',
  check(state) {
    const config = withNewJointNames(state.config);
    checkJointTraining(config);
    return { ...state, config };
  },
};
const QUANTIZER_STREAM = 0x51000000;
/** Brings the loss near 1, where the clipping of gradients is meant to be. */
const LOSS_SCALE = 1 / 256;
const DECODER = /^(synthesis\.|logRestore|logScale)/;

/** The training config that a checkpoint of the codec was made with. @throws CheckpointError */
export const kltConfigOf = (checkpoint: Uint8Array): JointTrainingConfig =>
  parseCheckpoint(FORMAT, checkpoint).state.config;

/** The network's weights in a model's file or in a checkpoint. @throws CheckpointError */
export const kltTensors = (file: Uint8Array): HostTensors => networkIn(FORMAT, file) ?? readKlt(file).tensors;

/**
 * The codec in training. The loss of a face has its squared error over the squared quantization step, so that all rates count
 * equally. The quantization index of a step depends on seed and step alone.
 */
export class TrainedKlt implements TrainedCodec<JointTrainingConfig> {
  readonly format = FORMAT;
  readonly network: KltAutoencoder;
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  #encoder: SimulatedEncoder | null = null;

  constructor(
    private readonly gpu: Gpu,
    readonly config: JointTrainingConfig,
  ) {
    checkJointTraining(config);
    this.network = new KltAutoencoder(config.model).initialize(gpu, config.seed);
    this.inputs = {
      logGain: [1],
      fineness: [1],
      errorWeight: [],
      encoded: [config.batchSize, this.network.latentCount],
    };
  }

  trains(name: string, { train, quantization }: JointStage): boolean {
    // The scales affect the encoder's choice, which has no gradient.
    if (quantization === 'encoder' && name === 'logScale') return false;
    return train === 'all' || DECODER.test(name);
  }

  enter(): void {}

  /** The quantization index of a step. */
  qIndexOf(step: number): number {
    const [low, high] = this.config.steps;
    return low + Math.floor(new CounterRandom(this.config.seed, QUANTIZER_STREAM, step).uniform() * (high - low + 1));
  }

  async plan(step: number, stage: JointStage, images: Float32Array): Promise<StepPlan> {
    const { config } = this;
    const { height, width } = config.model;
    const qIndex = this.qIndexOf(step);
    const { logGain, fineness } = quantizationInputs(qIndex, config.model.steps);
    // The step is 4·e^−logGain, in units of a sample's range.
    const squaredStep = (4 * Math.exp(-logGain)) ** 2;
    const inputs = {
      logGain: Float32Array.of(logGain),
      fineness: Float32Array.of(fineness),
      errorWeight: Float32Array.of((LOSS_SCALE * height * width * 3) / squaredStep),
    };
    if (stage.quantization !== 'encoder') return { setting: qIndex, recording: 0, inputs };
    this.#encoder ??= new SimulatedEncoder(this.gpu, this.network, config.batchSize);
    const { values, bits } = await this.#encoder.encode(images, qIndex);
    const bytes = bits.reduce((sum, own) => sum + own, 0) / 8 / config.batchSize;
    return { setting: qIndex, recording: 0, inputs: { ...inputs, encoded: values }, bytes };
  }

  pass(
    x: Tensor,
    inputs: Tensors,
    { quantization: mode }: JointStage,
    { stream }: { stream: () => number },
  ): CodecPass {
    const { network, config } = this;
    const at = { logGain: inputs.logGain, fineness: inputs.fineness };
    const symbols =
      mode === 'encoder'
        ? inputs.encoded
        : network.quantize(network.analyse(x, at), { mode, seed: config.seed, stream });
    const restored = network.reconstruct(symbols, at);
    const bits = network.bits(symbols, at);
    // The bits of the encoder's choice cannot be trained.
    const trained = mode !== 'encoder';
    return {
      restored,
      bits,
      rateLoss: trained ? affine(bits, (LOSS_SCALE * config.rateWeight) / config.batchSize) : null,
    };
  }

  async finish({ bytes }: StepPlan, _stage: JointStage, bits: number): Promise<number> {
    return bytes ?? bits / 8 / this.config.batchSize;
  }

  state(): undefined {}

  restoreState(): void {}

  dispose(): void {
    this.#encoder?.dispose();
    this.network.dispose();
  }
}
