import { readKlt } from '../src/codec/codec-weights.js';
import { FaceCodec } from '../src/codec/face-codec.js';
import { CameoError } from '../src/common/errors.js';
import { parseJson } from '../src/common/json.js';
import { decodeText } from '../src/common/text.js';
import { FaceDetector } from '../src/detection/face-detector.js';
import { perDevice } from '../src/gpu/device-keeper.js';
import { Embedder } from '../src/models/embedder.js';
import { loadRecognizer, readRecognizer } from '../src/models/recognizer-file.js';

/** Whether the page was built with the weights of a face detector. */
declare const FACE_DETECTOR: boolean;

const THRESHOLDS = 'models/verification-thresholds.json';

/** A file beside the page that could not be had. */
export class FetchError extends CameoError {}

/** The page was built without a face detector. */
class NoDetectorError extends CameoError {}

async function fetchFile(path: string): Promise<Uint8Array> {
  const response = await fetch(path).catch((cause: unknown) => {
    throw new FetchError(`${path} cannot be loaded: is the page's server still there?`, { cause });
  });
  if (!response.ok) throw new FetchError(`${path} cannot be loaded: the server answers ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Loads at the first call and remembers it; after a failure the next call tries again. */
function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | null = null;
  return () => {
    loaded ??= load().catch((error) => {
      loaded = null;
      throw error;
    });
    return loaded;
  };
}

const klt = once(async () => readKlt(await fetchFile('models/face.safetensors')));

/** Most faces that the page encodes at a time. */
const FACES = 2;

/** The codec on a device; the weights are loaded once. */
export const codecOn = perDevice(async (gpu) => FaceCodec.fromKlt(gpu, await klt(), FACES));

const detectorWeights = once(async () => {
  if (FACE_DETECTOR) return fetchFile('models/face-detector.safetensors');
  throw new NoDetectorError('this page was built without the weights of a face detector');
});

/** The face detector on a device. @throws NoDetectorError where the page has none, FetchError where it cannot be loaded */
export const detectorOn = perDevice(async (gpu) => FaceDetector.fromWeights(gpu, await detectorWeights()));

/** Where decisions begin, by false accept rate. */
export interface Thresholds {
  [rate: string]: number;
}

const recognizer = once(async () => {
  const bytes = await fetchFile('models/recognizer.safetensors');
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
  const modelId = [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const known = parseJson(decodeText(await fetchFile(THRESHOLDS), THRESHOLDS), THRESHOLDS) as Record<
    string,
    { thresholds: Thresholds }
  >;
  return { file: readRecognizer(bytes), thresholds: known[modelId]?.thresholds ?? {} };
});

/** The recogniser on a device, for a face and its mirror image at a time. */
export const embedderOn = perDevice(
  async (gpu) => new Embedder(gpu, loadRecognizer(gpu, (await recognizer()).file), 2),
);

/** Thresholds of the recogniser; none where nobody has measured this one. */
export const thresholds = async (): Promise<Thresholds> => (await recognizer()).thresholds;
