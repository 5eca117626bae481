import { ArgumentError, CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFiniteTensors, type HostTensors, withoutPrefix, withPrefix } from '../nn/host-tensor.js';
import { Sequential } from '../nn/layers/containers.js';
import { Linear } from '../nn/layers/linear.js';
import { Layer } from '../nn/module.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { reshape } from '../ops/layout.js';
import type { Tensor } from '../tensor/tensor.js';
import { convNormAct, convResidual } from './conv-blocks.js';

/** Width and height in pixels of the crops that a refiner takes. */
export const REFINER_SIDE = 64;

/** Values for a crop: five landmarks (x, y), from the crop's centre, in halves of its side. */
export const REFINER_VALUES = 10;

/** Channels at 1/2, 1/4, 1/8 and 1/16 of the crop's size. */
export interface LandmarkRefinerConfig {
  widths: readonly [number, number, number, number];
}

export const DEFAULT_REFINER: LandmarkRefinerConfig = { widths: [16, 32, 64, 64] };

/** @throws ArgumentError that names the value that is out of range */
export function checkRefiner(config: LandmarkRefinerConfig): LandmarkRefinerConfig {
  const { widths } = config;
  const fits = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 1024;
  if (!Array.isArray(widths) || widths.length !== 4 || !widths.every(fits)) {
    throw new ArgumentError(`landmarks: widths is ${JSON.stringify(widths)}; expected four integers from 1 to 1024`);
  }
  return config;
}

/**
 * Places five landmarks in a crop around a detected face, as the last network of Zhang et al. 2016 (MTCNN) does, but with
 * larger crops and batch norm.
 *
 * [N,64,64,3] with (byte − 127.5)/128 → [N,10], see {@link REFINER_VALUES}.
 */
export class LandmarkRefiner extends Layer {
  readonly config: LandmarkRefinerConfig;
  readonly #features: Layer;
  readonly #points: Layer;

  /** @throws ArgumentError */
  constructor(config: Partial<LandmarkRefinerConfig> = {}) {
    super();
    this.config = checkRefiner({ ...DEFAULT_REFINER, ...config });
    const [a, b, c, d] = this.config.widths;
    const features = [
      ...convNormAct(3, a, 2),
      ...convNormAct(a, b, 2),
      convResidual(b, 2),
      ...convNormAct(b, c, 2),
      convResidual(c, 2),
      ...convNormAct(c, d, 2),
    ];
    this.#features = this.child('features', new Sequential(features));
    this.#points = this.child('points', new Linear(d * (REFINER_SIDE / 16) ** 2, REFINER_VALUES));
  }

  override forward(x: Tensor): Tensor {
    const features = this.#features.forward(x);
    const [batch, ...rest] = features.shape;
    return this.#points.forward(reshape(features, [batch, rest.reduce((product, size) => product * size, 1)]));
  }
}

/** A refiner is stored in its detector's file: its sizes in the metadata, its tensors with a prefix. */
const KEY = 'cameo.landmarks';
const PREFIX = 'landmarks.';

/** The detector's file with this landmark refiner, which replaces any other. */
export function withRefiner(
  detector: Uint8Array,
  config: LandmarkRefinerConfig,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const file = readSafetensors(detector);
  const all = new Map([...withoutRefiner(file.tensors), ...withPrefix(tensors, PREFIX)]);
  const text = [...file.metadata, ...Object.entries(metadata), [KEY, JSON.stringify(config)] as const];
  return writeSafetensors(all, new Map(text));
}

/** The tensors of the detector itself. */
export const withoutRefiner = (tensors: HostTensors): HostTensors =>
  new Map([...tensors].filter(([name]) => !name.startsWith(PREFIX)));

/** The tensors of the refiner in a detector's file. @throws CheckpointError if it has none */
export function refinerTensors(bytes: Uint8Array): HostTensors {
  const { tensors, metadata } = readSafetensors(bytes);
  if (!metadata.has(KEY)) throw new CheckpointError(`no refiner of landmarks: metadata "${KEY}" is missing`);
  return withoutPrefix(tensors, PREFIX);
}

/**
 * The refiner in a detector's file, on a GPU and in evaluation mode; null if it has none.
 * @throws CheckpointError for a file that is damaged
 */
export function loadRefiner(gpu: Gpu, bytes: Uint8Array): LandmarkRefiner | null {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata.get(KEY);
  if (text === undefined) return null;
  const own = checkFiniteTensors(withoutPrefix(tensors, PREFIX));
  let network: LandmarkRefiner;
  try {
    network = new LandmarkRefiner(parseProgramJson(text, 'it') as LandmarkRefinerConfig);
  } catch (cause) {
    throw new CheckpointError(`metadata "${KEY}" describes no network: ${(cause as Error).message}`, { cause });
  }
  loadState(network, own, gpu);
  network.eval();
  return network;
}
