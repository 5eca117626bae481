import { ArgumentError } from '../common/errors.js';
import { assembleBatch, FaceBatches, type FaceSource, sourceWeights } from '../data/faces/batches.js';
import type { FaceSet } from '../data/faces/face-set.js';
import { balancedWeights, type Labelling } from '../data/faces/identity-set.js';
import type { GeneratedFaces } from './generated-faces.js';
import { joinedFloats } from './joined-floats.js';
import type { RecognitionTrainingConfig } from './recognition-config.js';

/** A part of the faces, and the order that they are drawn in. */
interface Part {
  faces: FaceSource;
  /** What the teacher looks at, where that is something else. */
  originals?: FaceSource;
  /** Of the whole set. */
  indices: readonly number[];
  batches: FaceBatches;
}

/** The faces of a step, changed and degraded. */
export interface DrawnFaces {
  /** In the whole set: labelled faces first. */
  indices: number[];
  /** Numbers of the generated ones, which come last. */
  generated: number[];
  /** [faces, H, W, 3] in [0, 1] */
  images: Float32Array;
  /** With hints: the same, but not degraded, and the originals in place of restored faces. */
  clean?: Float32Array;
  /** Classes of the labelled ones. */
  labels: number[];
}

/** Training faces of a recogniser: labelled faces and, for the teacher alone, unlabelled ones. */
export class RecognitionBatches {
  /** Indices of the faces that are drawn. */
  readonly used: readonly number[];
  readonly #parts: Part[];
  readonly #generated: Part | null = null;

  /**
   * @param data name of the faces in errors
   * @throws ArgumentError for faces that do not fit the configuration
   */
  constructor(
    data: string,
    private readonly config: RecognitionTrainingConfig,
    faces: FaceSet,
    private readonly labelling: Labelling,
    generated: GeneratedFaces | null = null,
  ) {
    const { labelled, unlabelled, identities } = labelling;
    if (identities.length < 2) {
      throw new ArgumentError(`${data}: ${identities.length} identities with at least two faces; expected at least 2`);
    }
    if (config.unlabelledBatch > 0 && unlabelled.length === 0) {
      throw new ArgumentError(`${data}: unlabelledBatch is ${config.unlabelledBatch}, but every face has a label`);
    }
    this.used = [...labelled, ...(config.unlabelledBatch > 0 ? unlabelled : [])];
    const weights = this.#weights(faces);
    const { augment, degrade, seed } = config;
    const part = (from: number, to: number, batchSize: number, own: number): Part => {
      const indices = this.used.slice(from, to);
      const options = { count: indices.length, batchSize, seed: own, augment, degrade };
      const batches = new FaceBatches({ ...options, weights: weights?.subarray(from, to) });
      return { faces: faces.subset(indices), indices, batches };
    };
    this.#parts = [part(0, labelled.length, config.batchSize, seed)];
    if (config.unlabelledBatch > 0) {
      this.#parts.push(part(labelled.length, this.used.length, config.unlabelledBatch, (seed ^ 0x5eed) >>> 0));
    }
    if (generated) {
      const batchSize = config.generatedBatch;
      const options = { count: generated.count, batchSize, seed: (seed ^ 0x9e37) >>> 0, augment, degrade };
      const batches = new FaceBatches(options);
      this.#generated = { faces: generated, originals: generated.originals(), indices: [], batches };
    }
  }

  /** Makes the generated faces of a step. Await it before `load`, while nothing else uses the GPU. */
  async prepare(step: number): Promise<void> {
    if (this.#generated) await this.#generated.faces.batch(this.#generated.batches.plan(step).indices);
  }

  /** How often each of the faces used is drawn, in relation to others of its part; undefined for equally often. */
  #weights(faces: FaceSet): Float64Array | undefined {
    const { balanced, sourceWeights: bySource } = this.config;
    const { labelled, classOf } = this.labelling;
    if (balanced) {
      const weights = new Float64Array(this.used.length).fill(1);
      weights.set(balancedWeights(labelled, classOf));
      return weights;
    }
    if (Object.keys(bySource).length === 0) return undefined;
    return sourceWeights(
      this.used.map((index) => faces.entries[index]),
      bySource,
    );
  }

  /** The faces of a step: they depend on seed and step alone. */
  async load(step: number): Promise<DrawnFaces> {
    const parts = this.#generated ? [...this.#parts, this.#generated] : this.#parts;
    const loaded = await Promise.all(parts.map(({ faces, batches }) => batches.load(faces, step)));
    const generated = this.#generated ? [...loaded[loaded.length - 1].plan.indices] : [];
    const indices = loaded
      .slice(0, this.#parts.length)
      .flatMap(({ plan }, k) => Array.from(plan.indices, (index) => this.#parts[k].indices[index]));
    const images = joinedFloats(loaded.map((part) => part.images));
    const labels = indices.slice(0, this.config.batchSize).map((index) => this.labelling.classOf[index]);
    const drawn = { indices, generated, images, labels };
    if (this.config.hints === 0) return drawn;
    const clean = await Promise.all(
      loaded.map(async ({ plan, originals }, k) =>
        assembleBatch((await parts[k].originals?.batch(plan.indices)) ?? originals, plan),
      ),
    );
    return { ...drawn, clean: joinedFloats(clean) };
  }
}

/** The mean of the teacher's embeddings of each class's faces, [classes, dimension]. @param targets of `labelled` */
export function classMeans(targets: Float32Array, { labelled, classOf, identities }: Labelling): Float32Array {
  const dimension = targets.length / labelled.length;
  const sums = new Float64Array(identities.length * dimension);
  const counts = new Float64Array(identities.length);
  labelled.forEach((index, at) => {
    const label = classOf[index];
    counts[label]++;
    for (let k = 0; k < dimension; k++) sums[label * dimension + k] += targets[at * dimension + k];
  });
  return Float32Array.from(sums, (sum, k) => sum / counts[Math.floor(k / dimension)]);
}
