import { DisposedError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkResults } from '../models/finite-results.js';
import { gainOf, type KltAutoencoder, quantizationInputs } from '../models/klt-autoencoder.js';
import { levelWords, pixelLevels, pixelsOfLevels, readLevels, unitsOfLevels } from '../models/unit-pixels.js';
import { type RecordedStep, recordStep } from '../tensor/recorded-step.js';
import { keep, Tensor } from '../tensor/tensor.js';
import { stepsInUnit } from './byte-budget.js';
import type { KltTables } from './codec-weights.js';
import type { FaceSymbols } from './container/face-code.js';
import { valuesOfSymbols } from './entropy/latent-stream.js';

type AnalysisInputs = { words: Tensor<'int32'>; fineness: Tensor };
type RestorationInputs = { symbols: Tensor; logGain: Tensor; fineness: Tensor };
type Analysis = RecordedStep<AnalysisInputs, { values: Tensor }>;
type Refinement = RecordedStep<AnalysisInputs & { values: Tensor }, { values: Tensor }>;
type Restoration = RecordedStep<RestorationInputs, { levels: Tensor<'int32'> }>;

/**
 * The passes of the codec's network: faces to values, and symbols to faces. Each is recorded once for each batch size, when it is
 * first needed: compiling their kernels takes most of the time of a first face.
 */
export class CodecPasses {
  readonly #analyses = new Map<number, Analysis>();
  readonly #refinements = new Map<number, Refinement>();
  readonly #restorations = new Map<number, Restoration>();
  /** The samples of all levels of 8 bits. */
  #units: Tensor | undefined;
  #disposed = false;

  constructor(
    readonly gpu: Gpu,
    readonly model: KltAutoencoder,
    readonly tables: KltTables,
  ) {}

  /** Bytes of a picture. */
  get #pictureBytes(): number {
    return 3 * this.model.config.width * this.model.config.height;
  }

  /**
   * Symbols to pictures, without detail layers.
   * @param size faces that the pass computes
   * @param first number of the first face, for messages
   */
  async restore(faces: readonly FaceSymbols[], size: number, first: number): Promise<Uint8Array[]> {
    const { order } = this.tables;
    const step = this.#restorationStep(size);
    const { inputs, outputs } = step;
    const count = this.model.latentCount;
    const symbols = new Float32Array(size * count);
    faces.forEach((face, n) => {
      const values = valuesOfSymbols(face.symbols, this.tables.model);
      // The network takes them in steps of the index that it is given.
      const scale = gainOf(face.qIndex) / stepsInUnit(this.tables.model, face.qIndex);
      for (let k = 0; k < count; k++) symbols[n * count + order[k]] = values[k] * scale;
    });
    inputs.symbols.write(symbols);
    this.#writeIndices(
      inputs,
      faces.map(({ qIndex }) => qIndex),
      size,
    );
    step.run();
    return readLevels('decode: the pixels', await outputs.levels.read(), faces.length, this.#pictureBytes, first);
  }

  /** Values in steps of index 0, in the order of the symbols. */
  async analyse(faces: readonly Uint8Array[], indices: readonly number[], size: number): Promise<Float32Array[]> {
    const step = this.#analysisStep(size);
    const { inputs, outputs } = step;
    inputs.words.write(levelWords(faces, size * this.#pictureBytes));
    this.#writeIndices(inputs, indices, size);
    step.run();
    return this.#valuesOf(faces.length, await outputs.values.read());
  }

  /** See `refineAtFirst`. @param values of `analyse` */
  async refine(
    faces: readonly Uint8Array[],
    values: readonly Float32Array[],
    indices: readonly number[],
    size: number,
  ): Promise<Float32Array[]> {
    const step = this.#refinementStep(size);
    const { inputs, outputs } = step;
    inputs.words.write(levelWords(faces, size * this.#pictureBytes));
    const count = this.model.latentCount;
    const { order } = this.tables;
    const given = new Float32Array(size * count);
    values.forEach((own, n) => {
      for (let k = 0; k < count; k++) given[n * count + order[k]] = own[k];
    });
    inputs.values.write(given);
    this.#writeIndices(inputs, indices, size);
    step.run();
    return this.#valuesOf(faces.length, await outputs.values.read());
  }

  /** The values of each face, in the order of the symbols. @param read what a pass gave, in the order of the network */
  #valuesOf(faces: number, read: Float32Array): Float32Array[] {
    const count = this.model.latentCount;
    checkResults('encode: the symbols', read, faces, count);
    const { order } = this.tables;
    return Array.from({ length: faces }, (_, n) => {
      const own = new Float32Array(count);
      for (let k = 0; k < count; k++) own[k] = read[n * count + order[k]];
      return own;
    });
  }

  #refinementStep(size: number): Refinement {
    let step = this.#refinements.get(size);
    if (!step) {
      const inputs = {
        fineness: this.#zeros(size, 1, 1, 1),
        values: this.#zeros(size, this.model.latentCount),
        words: this.#words(size),
      };
      step = recordStep(this.gpu, inputs, ({ words, values, fineness }) => ({
        values: this.model.refineAtFirst(this.#pictures(words, size), values, { logGain: fineness, fineness }),
      }));
      this.#refinements.set(size, step);
    }
    return step;
  }

  #analysisStep(size: number): Analysis {
    let step = this.#analyses.get(size);
    if (!step) {
      const inputs = { fineness: this.#zeros(size, 1, 1, 1), words: this.#words(size) };
      step = recordStep(this.gpu, inputs, ({ words, fineness }) => ({
        values: this.model.analyseAtFirst(this.#pictures(words, size), { logGain: fineness, fineness }),
      }));
      this.#analyses.set(size, step);
    }
    return step;
  }

  #restorationStep(size: number): Restoration {
    let step = this.#restorations.get(size);
    if (!step) {
      const symbols = this.#zeros(size, this.model.latentCount);
      const inputs = { symbols, logGain: this.#zeros(size, 1), fineness: this.#zeros(size, 1, 1, 1) };
      step = recordStep(this.gpu, inputs, (given) => ({
        levels: pixelLevels(this.model.reconstructAroundZero(given.symbols, given), 0.5),
      }));
      this.#restorations.set(size, step);
    }
    return step;
  }

  /** The bytes of pictures, as an input of a recorded step. */
  #words(size: number): Tensor<'int32'> {
    const count = (size * this.#pictureBytes) / 4;
    return keep(Tensor.from(this.gpu, new Int32Array(count), [count], 'int32'));
  }

  /** The pictures as the network takes them. */
  #pictures(words: Tensor<'int32'>, size: number): Tensor {
    const { width, height } = this.model.config;
    this.#units ??= keep(Tensor.from(this.gpu, unitsOfLevels()));
    return pixelsOfLevels(words, this.#units, [size, height, width, 3]);
  }

  /** An input of a recorded step. @throws DisposedError after `dispose` */
  #zeros(...shape: number[]): Tensor {
    if (this.#disposed) throw new DisposedError('the codec has been disposed');
    return keep(Tensor.zeros(this.gpu, shape));
  }

  #writeIndices(inputs: { fineness: Tensor; logGain?: Tensor }, indices: readonly number[], size: number): void {
    const logGain = new Float32Array(size);
    const fineness = new Float32Array(size);
    indices.forEach((qIndex, n) => {
      const values = quantizationInputs(qIndex, this.model.config.steps);
      logGain[n] = values.logGain;
      fineness[n] = values.fineness;
    });
    inputs.logGain?.write(logGain);
    inputs.fineness.write(fineness);
  }

  /** Frees the memory of the passes; the model stays. */
  dispose(): void {
    this.#disposed = true;
    for (const steps of [this.#analyses, this.#refinements, this.#restorations]) {
      for (const step of steps.values()) {
        step.dispose();
        for (const input of Object.values(step.inputs)) input.dispose();
      }
      steps.clear();
    }
    this.#units?.dispose();
  }
}
