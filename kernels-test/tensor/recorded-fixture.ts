import type { Gpu } from '../../src/gpu/gpu.js';
import type { Kernel } from '../../src/gpu/kernel.js';
import { Autoencoder, type AutoencoderConfig } from '../../src/models/autoencoder.js';
import { Adam } from '../../src/nn/adam.js';
import { clipGradients } from '../../src/nn/clip.js';
import { saveState } from '../../src/nn/state.js';
import { add, mul } from '../../src/ops/binary.js';
import { mse } from '../../src/ops/mse.js';
import { Tape } from '../../src/ops/tape.js';
import { affine } from '../../src/ops/unary.js';
import { Tensor } from '../../src/tensor/tensor.js';
import { randomValues } from '../helpers/harness.js';

/** A check for assert.throws: an error of this class whose message matches. */
export const isA =
  (type: new (message: string) => Error, message = /./) =>
  (error: Error): boolean =>
    error instanceof type && message.test(error.message);

/** y += 1, in place. */
export const INCREMENT: Kernel = {
  label: 'increment',
  bindings: 'w',
  workgroups: [1, 1, 1],
  wgsl: `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) gid: vec3u) { if (gid.x < arrayLength(&y)) { y[gid.x] += 1.0; } }`,
};

/** An autoencoder whose kernels compile within a second. */
export const SMALL: Partial<AutoencoderConfig> = {
  height: 24,
  width: 16,
  stages: [4, 8, 6],
  latentChannels: 4,
  residualBlocks: 1,
  rates: 2,
};

/** A training step of the codec as `src/training` makes it: noise, clipping and a rate that change from step to step. */
export class Training {
  readonly model: Autoencoder;
  readonly optimizer: Adam;
  readonly inputs: { x: Tensor; weight: Tensor };
  step = 0;

  constructor(
    readonly gpu: Gpu,
    config: Partial<AutoencoderConfig>,
    readonly batch: number,
  ) {
    this.model = new Autoencoder(config).initialize(gpu, 5);
    this.optimizer = new Adam(this.model.parameters(), { weightDecay: 0.01, decoupled: true });
    const { height, width } = this.model.config;
    this.inputs = { x: Tensor.zeros(gpu, [batch, height, width, 3]), weight: Tensor.scalar(gpu, 0) };
  }

  /** The inputs that change from step to step: the faces, and the weight of the rate. */
  feed(): void {
    this.inputs.x.write(randomValues(this.inputs.x.size, 100 + this.step, [0, 1]));
    this.inputs.weight.write(Float32Array.of(1e-3 * (1 + this.step)));
  }

  readonly body = ({ x, weight }: { x: Tensor; weight: Tensor }) => {
    const tape = new Tape();
    const figures = tape.record(() => {
      const symbols = this.model.compress(x, 1, { mode: 'noise', seed: 9, stream: () => this.step });
      const distortion = mse(this.model.reconstruct(symbols, 1), x);
      return { loss: add(affine(distortion, 100), mul(this.model.bits(symbols, 1), weight)), distortion };
    });
    const grads = tape.gradients(figures.loss, [...this.model.parameters().values()]);
    const { scale } = clipGradients(grads.values(), 0.5);
    this.optimizer.step(grads, () => 0.02 / (1 + this.step), scale);
    return figures;
  };

  async state(): Promise<Map<string, Float32Array>> {
    const tensors = [...(await saveState(this.model)), ...(await this.optimizer.saveState())];
    return new Map(tensors.map(([name, { data }]) => [name, data]));
  }

  dispose(): void {
    this.optimizer.dispose();
    this.model.dispose();
    this.inputs.x.dispose();
    this.inputs.weight.dispose();
  }
}
