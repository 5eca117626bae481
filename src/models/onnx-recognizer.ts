import { ArgumentError, CameoError, CheckpointError, ShapeError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Parameter } from '../nn/parameter.js';
import { importOnnx, readSupportedModel } from '../onnx/import.js';
import type { ValueProto } from '../onnx/model.js';
import type { OnnxModule } from '../onnx/module.js';
import type { ExternalData } from '../onnx/tensor-values.js';
import { concat, reshape, slice } from '../ops/layout.js';
import { Tape } from '../ops/tape.js';
import { scope, Tensor } from '../tensor/tensor.js';
import { graphPictures, listValues, type OnnxPictures, onnxPicturesOf, type PictureWords } from './onnx-pictures.js';
import { Recognizer } from './recognizer.js';

/** What is taken where neither the file nor words say how pixels go in. */
const USUAL = { channels: 'rgb', mean: [127.5], scale: [1 / 128] } as const;

/**
 * A recogniser of an ONNX file: any graph with one input of pictures and an output of embeddings. It has no parameters before
 * `putOn`, which puts it on a GPU.
 */
export class OnnxRecognizer extends Recognizer {
  readonly width: number;
  readonly height: number;
  readonly pictures: OnnxPictures;
  /** Names of the files beside it that have weights. */
  readonly externalFiles: ReadonlySet<string>;
  readonly #bytes: Uint8Array;
  readonly #output: string;
  #dimension: number | null;
  #module: OnnxModule | null = null;
  /** Faces that the graph takes at once; 0 for any number. */
  #batch = 0;

  /**
   * Reads and checks a file; needs no GPU.
   * @param words what is known of its pictures beside what the file says
   * @throws FormatError for a damaged file, UnsupportedModelError, CheckpointError for a graph that is no recogniser, ArgumentError for
   * words that do not fit it
   */
  constructor(bytes: Uint8Array, words: PictureWords = {}) {
    super();
    const model = readSupportedModel(bytes);
    this.#bytes = bytes;
    const { initializers } = model.graph;
    this.externalFiles = new Set(initializers.flatMap(({ external }) => external?.get('location') ?? []));
    this.pictures = onnxPicturesOf(model, words, USUAL);
    const { width, height, input } = this.pictures;
    if (width === null || height === null) {
      throw new CheckpointError(`its input ${input} takes pictures of any size; expected WIDTHxHEIGHT after its name`);
    }
    [this.width, this.height] = [width, height];
    const output = embeddingOutput(model.graph.outputs, words.output);
    this.#output = output.name;
    const [, ...sizes] = output.shape ?? [null, null];
    const known = sizes.every((size) => typeof size === 'number' && size > 0);
    this.#dimension = known ? (sizes as number[]).reduce((a, b) => a * b, 1) : null;
  }

  /** Number of values of an embedding. @throws ArgumentError before `putOn`, for a file that does not tell it */
  override get dimension(): number {
    if (this.#dimension !== null) return this.#dimension;
    throw new ArgumentError('the ONNX file does not tell the size of its embeddings: call putOn(gpu) first');
  }

  /** Puts the network on a GPU, in evaluation mode. @throws as `importOnnx`, CheckpointError for an output that is no embedding */
  putOn(gpu: Gpu, external?: ExternalData): void {
    this.#module?.dispose();
    this.#module = importOnnx(gpu, this.#bytes, {
      layout: this.pictures.layout === 'nhwc' ? 'file' : 'nhwc',
      external,
    });
    this.eval();
    const { batch } = this.pictures;
    if (this.#dimension !== null && batch === null) return;
    const more = (batch ?? 1) + 1;
    this.#batch = 0;
    try {
      const [count, ...sizes] = this.#shapeOf(gpu, more);
      if (count !== more) throw new ShapeError(`${more} faces give ${count} embeddings`);
      this.#dimension = sizes.reduce((a, b) => a * b, 1);
    } catch (error) {
      if (!(error instanceof CameoError) || batch === null) throw error;
      // The graph has the number of pictures in it.
      this.#batch = batch;
      this.#dimension = this.#shapeOf(gpu, batch).reduce((a, b) => a * b, 1) / batch;
    }
  }

  override entries(): Map<string, Parameter> {
    return this.#module?.entries() ?? new Map();
  }

  override train(training = true): this {
    this.#module?.train(training);
    return super.train(training);
  }

  override dispose(): void {
    this.#module?.dispose();
    this.#module = null;
  }

  protected override normalize(x: Tensor): Tensor {
    return graphPictures(x, this.pictures, { factor: 255, offset: 0 });
  }

  protected override forward(x: Tensor): Tensor {
    const [count, ...sizes] = x.shape;
    const batch = this.#batch || count;
    if (count % batch !== 0) {
      throw new ArgumentError(`the ONNX file takes ${batch} faces at once; expected a multiple of them, not ${count}`);
    }
    const parts = Array.from({ length: count / batch }, (_, k) => {
      const own = count === batch ? x : slice(x, [k * batch, 0, 0, 0], [batch, ...sizes]);
      const found = this.#run(own);
      if (found.shape[0] === batch && found.size === batch * this.dimension) {
        return reshape(found, [batch, this.dimension]);
      }
      throw new ShapeError(
        `the output ${this.#output} of the ONNX file is [${found.shape}]; expected [${batch},${this.dimension}]`,
      );
    });
    return parts.length === 1 ? parts[0] : concat(parts, 0);
  }

  #run(x: Tensor): Tensor {
    if (!this.#module)
      throw new ArgumentError('a recogniser of an ONNX file runs on no GPU yet: call putOn(gpu) first');
    const outputs = this.#module.run({ [this.pictures.input]: x });
    return outputs[this.#output] as Tensor;
  }

  /** Sizes of the output for so many faces; no kernel runs. */
  #shapeOf(gpu: Gpu, faces: number): readonly number[] {
    let shape: readonly number[] = [];
    scope(gpu, () => {
      const tape = new Tape(([{ gpu }], sizes, dtype) => Tensor.empty(gpu, sizes, dtype));
      shape = tape.record(() => this.#run(Tensor.empty(gpu, [faces, this.height, this.width, 3]))).shape;
    });
    return shape;
  }
}

/** The output of embeddings: the one of a name, or the only one. */
function embeddingOutput(outputs: readonly ValueProto[], name: string | undefined): ValueProto {
  const found = name === undefined ? outputs : outputs.filter((output) => output.name === name);
  const fits = ({ type, shape }: ValueProto): boolean =>
    type === 1 && (shape === null || shape.length === 2 || (shape.length === 4 && shape[2] === 1 && shape[3] === 1));
  if (found.length === 1 && fits(found[0])) return found[0];
  const text = `its outputs are ${listValues(outputs)}`;
  if (name !== undefined) throw new ArgumentError(`${text}; expected embeddings [batch,values] named ${name}`);
  const many = outputs.length > 1 ? ', or output=NAME after the name of the file' : '';
  throw new CheckpointError(`${text}; expected one of embeddings, [batch,values]${many}`);
}
