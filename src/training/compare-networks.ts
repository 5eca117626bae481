import { FaceBatches } from '../data/faces/batches.js';
import type { FaceSet } from '../data/faces/face-set.js';
import type { Labelling } from '../data/faces/identity-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { Embedder, joinFaces } from '../models/embedder.js';
import { RecognitionBatches } from './recognition-batches.js';
import type { RecognitionTrainingConfig } from './recognition-config.js';
import { RecognitionTrainer } from './recognition-trainer.js';
import { type RecognitionValidation, validateRecognition } from './recognition-validation.js';
import type { TeacherTargets } from './teacher-targets.js';

/** A network to compare: its name, and the settings that are its own. */
export interface Contender {
  name: string;
  config: RecognitionTrainingConfig;
}

/** The results of a network, after the same time as the others. */
export interface ContenderResult {
  name: string;
  parameters: number;
  /** Faces seen, and processor seconds of all threads that training them took. */
  faces: number;
  cpuSeconds: number;
  /** Processor milliseconds for each face, of a training step and of a forward pass alone. */
  stepMs: number;
  forwardMs: number;
  /** Of the last tenth of the steps, mean distance to the teacher. */
  distance: number;
  validation: RecognitionValidation;
}

/** Processor seconds of this process so far, all threads together: those of a CPU adapter are among them. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

export interface CompareNetworksOptions {
  gpu: Gpu;
  contenders: readonly Contender[];
  faces: FaceSet;
  labelling: Labelling;
  targets: TeacherTargets;
  validationFaces: FaceSet;
  /** Targets of all validation faces. */
  validationTargets: Float32Array;
  /** Processor seconds of each network's training. */
  budget: number;
  /** Processor seconds of a turn. Networks take turns, so that all meet the same load of the machine. */
  turn: number;
  onProgress?: (name: string, seconds: number, distance: number) => void;
}

/** Trains each network for the same processor time on the same batches, in turns, and compares the results. */
export async function compareNetworks(options: CompareNetworksOptions): Promise<ContenderResult[]> {
  const { gpu, contenders, budget, turn, onProgress } = options;
  const running = contenders.map(({ name, config }) => new Contest(options, name, config));
  try {
    for (const contest of running) await contest.step(); // compiles its kernels, outside the count
    for (let until = turn; until < budget + turn; until += turn) {
      for (const contest of running) {
        await contest.runUntil(Math.min(until, budget));
        onProgress?.(contest.name, contest.seconds, contest.distance);
      }
    }
    const results: ContenderResult[] = [];
    for (const contest of running) results.push(await contest.result(gpu));
    return results;
  } finally {
    for (const contest of running) contest.dispose();
  }
}

class Contest {
  seconds = 0;
  readonly #trainer: RecognitionTrainer;
  readonly #batches: RecognitionBatches;
  readonly #distances: number[] = [];

  constructor(
    private readonly options: CompareNetworksOptions,
    readonly name: string,
    private readonly config: RecognitionTrainingConfig,
  ) {
    const { gpu, faces, labelling } = options;
    this.#trainer = new RecognitionTrainer(gpu, config, labelling.identities);
    this.#batches = new RecognitionBatches(name, config, faces, labelling);
  }

  /** Mean of the last tenth of the steps. */
  get distance(): number {
    const last = this.#distances.slice(-Math.max(1, Math.round(this.#distances.length / 10)));
    return last.reduce((sum, own) => sum + own, 0) / last.length;
  }

  /** Reading and degrading faces, and the teacher, are not counted: they are the same for all. */
  async step(): Promise<void> {
    const batch = await this.#batches.load(this.#trainer.step);
    const teacher = await this.options.targets.of(batch.indices);
    const before = cpuSeconds();
    const { distance } = await this.#trainer.train({ ...batch, teacher });
    if (this.#trainer.step > 1) {
      this.seconds += cpuSeconds() - before;
      this.#distances.push(distance);
    }
  }

  async runUntil(seconds: number): Promise<void> {
    while (this.seconds < seconds) await this.step();
  }

  async result(gpu: Gpu): Promise<ContenderResult> {
    const { validationFaces, validationTargets } = this.options;
    const { network } = this.#trainer;
    const validation = await validateRecognition(gpu, network, validationFaces, validationTargets);
    const faces = this.#distances.length * this.config.batchSize;
    return {
      name: this.name,
      parameters: network.parameterCount,
      faces,
      cpuSeconds: this.seconds,
      stepMs: (1000 * this.seconds) / faces,
      forwardMs: await forwardMs(gpu, network, validationFaces),
      distance: this.distance,
      validation,
    };
  }

  dispose(): void {
    this.#trainer.dispose();
  }
}

/** Processor milliseconds a face of a pass forward in evaluation mode. */
async function forwardMs(gpu: Gpu, network: RecognitionTrainer['network'], faces: FaceSet): Promise<number> {
  const count = Math.min(64, faces.count);
  const pictures = await faces.batch(Array.from({ length: count }, (_, k) => k));
  const pixels = joinFaces(pictures, network.width);
  const embedder = new Embedder(gpu, network, 16);
  try {
    await embedder.embed(pixels.subarray(0, 16 * pictures[0].length));
    const before = cpuSeconds();
    await embedder.embed(pixels);
    return (1000 * (cpuSeconds() - before)) / count;
  } finally {
    embedder.dispose();
  }
}

/** Processor milliseconds a face of reading, degrading and turning faces. */
export async function loadingMs(faces: FaceSet, config: RecognitionTrainingConfig): Promise<number> {
  const { augment, degrade, seed } = config;
  const batches = new FaceBatches({ count: faces.count, batchSize: 64, seed, augment, degrade });
  await batches.load(faces, 0);
  const before = cpuSeconds();
  for (let step = 1; step <= 4; step++) await batches.load(faces, step);
  return (1000 * (cpuSeconds() - before)) / 256;
}
