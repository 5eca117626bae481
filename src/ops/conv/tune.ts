import { type ConvShape, convMultiplyAdds } from '../../../shaders/common/conv-geometry.js';
import { ArgumentError } from '../../common/errors.js';
import { type Precision, roundToHalf } from '../../common/precision.js';
import { centredUniform } from '../../common/random.js';
import { sizeOf } from '../../common/shapes.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { TuningRequest } from '../../gpu/tuning.js';
import { Tensor } from '../../tensor/tensor.js';
import { gatherCandidates, weightGradientCandidates } from './choose.js';
import { type ConvConfigs, type ConvOptions, conv2dOp, convRequest } from './conv.js';
import { gatherOf } from './gather-plan.js';
import { convGradients } from './gradient.js';
import { attrsOfShape, type Conv2dAttrs } from './shape.js';

type Config = ConvConfigs[keyof ConvConfigs];

/** A candidate with its least time of a pass in milliseconds. */
export interface TimedCandidate {
  config: Config;
  ms: number;
}

/** What tuning found for one pass. */
export interface ConvTuning {
  chosen: TimedCandidate;
  /** The choice of the estimate; null if it was refused. */
  estimated: TimedCandidate | null;
  timed: TimedCandidate[];
  /** Candidates that must not be used, and why. */
  refused: { config: Config; reason: string }[];
}

const PASSES = ['forward', 'inputGradient', 'weightGradient'] as const;

/** A request of the conv kernels of a precision, read back; null for those of other kernels. */
function convOf(
  { family, problem }: TuningRequest,
  precision: Precision | undefined,
): { pass: keyof ConvConfigs; shape: ConvShape } | null {
  const pass = PASSES.find((name) => family === convRequest(name, problem as ConvShape, precision).family);
  return pass ? { pass, shape: problem as ConvShape } : null;
}

/** Rounds of timing, over all candidates in turn, so that disturbances affect all of them. */
const ROUNDS = 5;
/** A sample repeats a pass until it takes about this long. */
const SAMPLE_MS = 20;

/**
 * Measures the candidates for one pass of a convolution on this device and keeps the fastest in `gpu.tuning`. A
 * candidate whose result differs from the naive kernel's by more than rounding, or that the device refuses, is out.
 *
 * @param request one that `Tuning.collect` gave
 * @returns null for requests of other kernels
 * @throws ArgumentError if every candidate is refused
 */
export async function tuneConv(gpu: Gpu, request: TuningRequest): Promise<ConvTuning | null> {
  const conv = convOf(request, gpu.limits.precision);
  if (!conv) return null;
  const { pass, shape } = conv;
  const configs =
    pass === 'weightGradient'
      ? weightGradientCandidates(shape, gpu.limits)
      : gatherCandidates(gatherOf(shape, pass), gpu.limits);
  const runner = new PassRunner(gpu, pass, shape);
  try {
    const good: Config[] = [];
    const refused: ConvTuning['refused'] = [];
    const expected = await runner.values({ variant: 'naive' });
    for (const config of configs) {
      const reason = await runner.refusal(config, expected);
      if (reason === null) good.push(config);
      else refused.push({ config, reason });
    }
    if (good.length === 0) {
      throw new ArgumentError(`tuning ${request.family}: every candidate was refused: ${refused[0].reason}`);
    }
    const timed = await runner.time(good);
    const chosen = timed.reduce((best, candidate) => (candidate.ms < best.ms ? candidate : best));
    gpu.tuning.set(request, chosen.config);
    return { chosen, estimated: timed.find(({ config }) => config === configs[0]) ?? null, timed, refused };
  } finally {
    runner.dispose();
  }
}

/** Runs one pass of a convolution on random operands. */
class PassRunner {
  readonly #x: Tensor;
  readonly #w: Tensor;
  readonly #dy: Tensor;
  readonly #attrs: Conv2dAttrs;

  constructor(
    private readonly gpu: Gpu,
    private readonly pass: keyof ConvConfigs,
    private readonly shape: ConvShape,
  ) {
    const { batch, input, output, cin, cout, kernel, groups } = shape;
    // Numbers that half precision holds exactly, so that candidates differ only by the rounding of f32 sums.
    const random = (size: readonly number[], seed: number): Tensor => {
      const values = centredUniform(sizeOf(size), seed);
      return Tensor.from(gpu, gpu.limits.precision === 'f16' ? values.map(roundToHalf) : values, size);
    };
    this.#x = random([batch, ...input, cin], 1);
    this.#w = random([...kernel, cin / groups, cout], 2);
    this.#dy = random([batch, ...output, cout], 3);
    this.#attrs = attrsOfShape(shape);
  }

  dispose(): void {
    for (const tensor of [this.#x, this.#w, this.#dy]) tensor.dispose();
  }

  /** The pass's result; the caller disposes it. */
  run(options: ConvOptions): Tensor {
    const op = conv2dOp(options);
    const [x, w, dy, attrs] = [this.#x, this.#w, this.#dy, this.#attrs];
    if (this.pass === 'forward') {
      const { output, saved = [] } = op.forward([x, w], attrs, dy.shape);
      for (const tensor of saved) tensor.dispose();
      return output;
    }
    const needs = [this.pass === 'inputGradient', this.pass === 'weightGradient'];
    const gradients = op.backward({
      inputs: [x, w],
      output: dy,
      saved: [],
      attrs,
      dy,
      needs,
      gradients: convGradients,
    });
    return gradients.find((gradient) => gradient !== null)!;
  }

  async values(options: ConvOptions): Promise<Float32Array> {
    const output = this.run(options);
    try {
      return await output.read();
    } finally {
      output.dispose();
    }
  }

  #only(config: Config): ConvOptions {
    return { configs: { [this.pass]: config } };
  }

  /** The reason why a candidate must not be used, or null. */
  async refusal(config: Config, expected: Float32Array): Promise<string | null> {
    let actual: Float32Array;
    try {
      actual = await this.values(this.#only(config));
    } catch (error) {
      return (error as Error).message;
    }
    // Operands are below 1/2 in size; both sums round at each of their terms.
    const terms = convMultiplyAdds(this.shape) / expected.length;
    const tolerance = 2 ** -23 * (32 + 2 * terms) * 0.25 * Math.sqrt(terms + 1);
    for (let i = 0; i < expected.length; i++) {
      const difference = Math.abs(actual[i] - expected[i]);
      if (!(difference <= tolerance)) return `element ${i} is ${actual[i]}, the naive kernel's is ${expected[i]}`;
    }
    return null;
  }

  /** Least times of candidates, which are compiled already. */
  async time(configs: readonly Config[]): Promise<TimedCandidate[]> {
    const sample = async (config: Config, runs: number): Promise<number> => {
      const start = performance.now();
      for (let k = 0; k < runs; k++) this.run(this.#only(config)).dispose();
      await this.gpu.sync();
      return (performance.now() - start) / runs;
    };
    const once = await sample(configs[0], 1);
    const runs = Math.max(1, Math.min(50, Math.round(SAMPLE_MS / once)));
    const timed = configs.map((config) => ({ config, ms: Infinity }));
    for (let round = 0; round < ROUNDS; round++) {
      for (const candidate of timed) candidate.ms = Math.min(candidate.ms, await sample(candidate.config, runs));
    }
    return timed;
  }
}
