import { ArgumentError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import {
  type KltAutoencoder,
  logisticScales,
  type QuantizationInputs,
  quantizationInputs,
} from '../models/klt-autoencoder.js';
import { writeUnitPixels } from '../models/unit-pixels.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';

/** Faces in a pass. */
export const GENERATOR_BATCH = 8;

type Inputs<K extends string> = Record<K | keyof QuantizationInputs, Tensor>;

/** The two halves of a compression autoencoder, used separately to make faces that were never photographed. */
export class FaceGenerator {
  readonly #analysis: RecordedStep<Inputs<'x'>, { values: Tensor }>;
  readonly #synthesis: RecordedStep<Inputs<'values'>, { faces: Tensor }>;

  /** @param model the caller disposes it */
  constructor(
    gpu: Gpu,
    private readonly model: KltAutoencoder,
  ) {
    const { height, width } = model.config;
    const zeros = (...shape: number[]): Tensor => keep(Tensor.zeros(gpu, shape));
    const faces = { x: zeros(GENERATOR_BATCH, height, width, 3), logGain: zeros(1), fineness: zeros(1) };
    this.#analysis = recordStep(gpu, faces, ({ x, ...step }) => ({ values: model.analyse(x, step) }));
    const symbols = { values: zeros(GENERATOR_BATCH, model.latentCount), logGain: zeros(1), fineness: zeros(1) };
    this.#synthesis = recordStep(gpu, symbols, ({ values, ...step }) => ({ faces: model.restore(values, step) }));
  }

  /** How many values of a face are of its symmetric half; they come first. */
  get symmetric(): number {
    return this.model.config.components[0];
  }

  #setIndex(inputs: Inputs<never>, index: number): void {
    const { logGain, fineness } = quantizationInputs(index, this.model.config.steps);
    inputs.logGain.write(Float32Array.of(logGain));
    inputs.fineness.write(Float32Array.of(fineness));
  }

  /** @throws ArgumentError unless there are as many as a pass takes */
  #checkCount(count: number): void {
    if (count !== GENERATOR_BATCH) throw new ArgumentError(`a pass of ${count} faces; expected ${GENERATOR_BATCH}`);
  }

  /**
   * Values of 8 faces before rounding, in steps of a quantization index.
   * @param faces RGB bytes
   */
  async analyse(faces: readonly Uint8Array[], index: number): Promise<Float32Array[]> {
    this.#checkCount(faces.length);
    const { inputs, outputs } = this.#analysis;
    const { height, width } = this.model.config;
    const pixels = new Float32Array(GENERATOR_BATCH * height * width * 3);
    writeUnitPixels(faces, pixels);
    inputs.x.write(pixels);
    this.#setIndex(inputs, index);
    this.#analysis.run();
    return rows(await outputs.values.read());
  }

  /** Faces, RGB bytes, of 8 lists of values, rounded or not. */
  async synthesise(values: readonly Float32Array[], index: number): Promise<Uint8Array[]> {
    this.#checkCount(values.length);
    const { inputs, outputs } = this.#synthesis;
    const count = this.model.latentCount;
    const all = new Float32Array(GENERATOR_BATCH * count);
    values.forEach((own, n) => {
      all.set(own, n * count);
    });
    inputs.values.write(all);
    this.#setIndex(inputs, index);
    this.#synthesis.run();
    return rows(await outputs.faces.read()).map((face) => Uint8Array.from(face, (value) => Math.round(255 * value)));
  }

  /** The logistic scale of each value over all faces, in steps of an index. */
  async scales(index: number): Promise<Float64Array> {
    const { logScale, logGain } = this.model;
    const [scale, gain] = await Promise.all([logScale, logGain].map(({ tensor }) => tensor.read()));
    const step = quantizationInputs(index, this.model.config.steps).logGain;
    return logisticScales(scale, gain).map((own) => own * Math.exp(step));
  }

  dispose(): void {
    for (const step of [this.#analysis, this.#synthesis]) {
      const inputs = Object.values(step.inputs);
      step.dispose();
      for (const input of inputs) input.dispose();
    }
  }
}

function rows(values: Float32Array): Float32Array[] {
  const size = values.length / GENERATOR_BATCH;
  return Array.from({ length: GENERATOR_BATCH }, (_, n) => values.slice(n * size, (n + 1) * size));
}
