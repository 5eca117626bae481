import { exportOnnx, type OnnxExportOptions } from '../onnx/export/export.js';
import { reshape } from '../ops/layout.js';
import { affine } from '../ops/unary.js';
import { type AnyTensor, Tensor } from '../tensor/tensor.js';
import type { Autoencoder } from './autoencoder.js';
import type { KltAutoencoder } from './klt-autoencoder.js';
import { type LandmarkRefiner, REFINER_SIDE } from './landmark-refiner.js';
import type { Recognizer } from './recognizer.js';
import { CELL_STRIDES, SINGLE_SHOT_MULTIPLE, type SingleShotDetector } from './single-shot.js';

/** What a caller of these functions may choose. */
export type OnnxNetworkOptions = Pick<OnnxExportOptions, 'opset' | 'layout' | 'metadata'>;

/** A byte as the networks for photographs take it: (byte − 127.5)/128; the graph gets byte / 255. */
const centred = (x: Tensor): Tensor => affine(x, 255 / 128, -127.5 / 128);

/** What every file says of its pictures. A number of the graph is (byte − mean) · scale. */
function described(
  network: string,
  [height, width]: readonly [number, number],
  { layout = 'nhwc', metadata }: OnnxNetworkOptions,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const pictures = { width: `${width}`, height: `${height}`, channels: 'RGB', layout, mean: '0', scale: `${1 / 255}` };
  return { ...metadata, network, ...pictures, ...more };
}

/** Exports with examples that are freed. */
async function exportWith(
  inputs: Record<string, AnyTensor>,
  network: (inputs: never) => Record<string, AnyTensor>,
  options: OnnxExportOptions,
): Promise<Uint8Array> {
  try {
    return await exportOnnx(network, inputs, { dynamicBatch: true, ...options });
  } finally {
    for (const tensor of Object.values(inputs)) tensor.dispose();
  }
}

/**
 * A recogniser as ONNX: `faces` [batch,height,width,3], RGB in [0, 1], to `embeddings` [batch,dimension], which are not normalised.
 * @param recognizer with values, on a GPU
 */
export function recognizerToOnnx(recognizer: Recognizer, options: OnnxNetworkOptions = {}): Promise<Uint8Array> {
  const { height, width } = recognizer;
  const { gpu } = [...recognizer.stateTensors().values()][0];
  return exportWith(
    { faces: Tensor.zeros(gpu, [1, height, width, 3]) },
    ({ faces }: { faces: Tensor }) => ({ embeddings: recognizer.embed(faces) }),
    { ...options, module: recognizer, metadata: described('recognizer', [height, width], options) },
  );
}

/**
 * The detector's network as ONNX: `pictures` [batch,height,width,3], RGB in [0, 1], to `cells` [batch,cells,15]: see `CELL_VALUES`.
 * @param size height and width of the pictures, multiples of 32
 */
export function detectorToOnnx(
  detector: SingleShotDetector,
  size: readonly [height: number, width: number],
  options: OnnxNetworkOptions = {},
): Promise<Uint8Array> {
  const { gpu } = [...detector.stateTensors().values()][0];
  const strides = { strides: CELL_STRIDES.join(), multiple: `${SINGLE_SHOT_MULTIPLE}` };
  return exportWith(
    { pictures: Tensor.zeros(gpu, [1, ...size, 3]) },
    ({ pictures }: { pictures: Tensor }) => ({ cells: detector.forward(centred(pictures)) }),
    { ...options, module: detector, metadata: described('detector', size, options, strides) },
  );
}

/**
 * The refiner of landmarks as ONNX: `crops` [batch,64,64,3], RGB in [0, 1], to `points` [batch,10]: five (x, y) from the crop's centre, in
 * halves of its side.
 */
export function landmarksToOnnx(refiner: LandmarkRefiner, options: OnnxNetworkOptions = {}): Promise<Uint8Array> {
  const { gpu } = [...refiner.stateTensors().values()][0];
  const size = [REFINER_SIDE, REFINER_SIDE] as const;
  return exportWith(
    { crops: Tensor.zeros(gpu, [1, ...size, 3]) },
    ({ crops }: { crops: Tensor }) => ({ points: refiner.forward(centred(crops)) }),
    { ...options, module: refiner, metadata: described('landmarks', size, options) },
  );
}

/**
 * The codec's synthesis network as ONNX: `values` [batch,components] and `q_index` [batch,1] to `faces` [batch,height,width,3], RGB in
 * [0, 1]. `values` are those of the symbols in steps of index 0, in the order of the components (steps 1 of "Restoring the picture" in
 * docs/bitstream.md, without the factor of the component), and `q_index` is the face's quantization index.
 */
export function synthesisToOnnx(model: KltAutoencoder, options: OnnxNetworkOptions = {}): Promise<Uint8Array> {
  const { height, width, steps } = model.config;
  const { gpu } = model.logGain.tensor;
  const first = Tensor.zeros(gpu, [1]);
  const indices = { indices: `${steps}` };
  return exportWith(
    { values: Tensor.zeros(gpu, [1, model.latentCount]), q_index: Tensor.zeros(gpu, [1, 1]) },
    ({ values, q_index }: { values: Tensor; q_index: Tensor }) => {
      const fineness = reshape(affine(q_index, 2 / (steps - 1), -1), [-1, 1, 1, 1]);
      return { faces: model.restore(values, { logGain: first, fineness }) };
    },
    { ...options, module: model, metadata: described('synthesis', [height, width], options, indices) },
  ).finally(() => first.dispose());
}

/**
 * The decoder of the paper's autoencoder at one rate as ONNX: `symbols` [batch,h,w,C] to `faces` [batch,height,width,3], RGB in [0, 1].
 * @throws ArgumentError for a rate that the model does not have
 */
export function autoencoderToOnnx(
  model: Autoencoder,
  rate: number,
  options: OnnxNetworkOptions = {},
): Promise<Uint8Array> {
  const { height, width, latentChannels } = model.config;
  return exportWith(
    { symbols: Tensor.zeros(model.latentMean.tensor.gpu, [1, ...model.latentSize, latentChannels]) },
    ({ symbols }: { symbols: Tensor }) => ({ faces: model.restore(symbols, rate) }),
    {
      ...options,
      module: model,
      metadata: described('autoencoder', [height, width], options, { rate: `${rate}` }),
    },
  );
}
