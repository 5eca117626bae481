import { reconstructionValues } from '../codec/entropy/dependent.js';
import { dependentGain, SymbolChooser } from '../codec/symbol-chooser.js';
import { trellisBits } from '../codec/trellis.js';
import type { Gpu } from '../gpu/gpu.js';
import {
  gainOf,
  type KltAutoencoder,
  logisticScales,
  type QuantizationInputs,
  quantizationInputs,
} from '../models/klt-autoencoder.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';

/** The encoder's choice for faces at an index. */
export interface SimulatedEncoding {
  /** In steps of the index, as `KltAutoencoder.reconstruct` takes them: [faces, components]. */
  values: Float32Array;
  /** Of each face, as the encoder estimates them. */
  bits: number[];
}

/** Faces to the reconstruction values that the finished encoder would choose; before there are tables, in the components' own order. */
export class SimulatedEncoder {
  readonly #analysis: RecordedStep<Record<'x' | keyof QuantizationInputs, Tensor>, { values: Tensor }>;

  /** @param batch faces at a time */
  constructor(
    gpu: Gpu,
    readonly model: KltAutoencoder,
    readonly batch: number,
  ) {
    const { height, width } = model.config;
    const zeros = (...shape: number[]): Tensor => keep(Tensor.zeros(gpu, shape));
    const inputs = { x: zeros(batch, height, width, 3), logGain: zeros(1), fineness: zeros(1) };
    this.#analysis = recordStep(gpu, inputs, ({ x, ...step }) => ({ values: model.analyseAtFirst(x, step) }));
  }

  /** @param pixels in [0, 1], of at most a batch of faces; the results have as many */
  async encode(pixels: Float32Array, qIndex: number): Promise<SimulatedEncoding> {
    const { model, batch } = this;
    const { inputs, outputs } = this.#analysis;
    const step = quantizationInputs(qIndex, model.config.steps);
    const { height, width } = model.config;
    const faces = pixels.length / (height * width * 3);
    const padded = new Float32Array(batch * height * width * 3);
    padded.set(pixels);
    inputs.x.write(padded);
    inputs.logGain.write(Float32Array.of(step.logGain));
    inputs.fineness.write(Float32Array.of(step.fineness));
    this.#analysis.run();
    // The scales may be in training.
    const [values, logScale, logGain] = await Promise.all(
      [outputs.values, model.logScale.tensor, model.logGain.tensor].map((tensor) => tensor.read()),
    );
    const chooser = new SymbolChooser(logisticScales(logScale, logGain), true);
    const count = model.latentCount;
    const order = Int32Array.from({ length: count }, (_, k) => k);
    const finer = gainOf(dependentGain(qIndex));
    const reconstructed = new Float32Array(faces * count);
    const bits: number[] = [];
    for (let n = 0; n < faces; n++) {
      const scaled = Float64Array.from(values.subarray(n * count, (n + 1) * count), (value) => value * finer);
      const symbols = chooser.choose(scaled, finer, chooser.defaultLambda, order);
      bits.push(trellisBits(symbols, chooser.costsAt(finer), order));
      reconstructionValues(symbols, order).forEach((value, k) => {
        reconstructed[n * count + k] = value * (gainOf(qIndex) / finer);
      });
    }
    return { values: reconstructed, bits };
  }

  dispose(): void {
    this.#analysis.dispose();
    for (const input of Object.values(this.#analysis.inputs)) input.dispose();
  }
}
