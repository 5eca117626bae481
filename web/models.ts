import { CameoError } from '../src/common/errors.js';
import { parseJson } from '../src/common/json.js';
import { decodeText } from '../src/common/text.js';
import { perDevice } from '../src/gpu/device-keeper.js';
import { fetchFile, sha256 } from './stored-files.js';

/** Whether the page was built with the weights of a face detector. */
declare const FACE_DETECTOR: boolean;

const CODEC = 'models/face.safetensors';
const PNG_CODEC = 'models/codec.safetensors';
const DETECTOR = 'models/face-detector.safetensors';
const RECOGNIZER = 'models/recognizer.safetensors';
const THRESHOLDS = 'models/verification-thresholds.json';

/** The page was built without a face detector. */
class NoDetectorError extends CameoError {}

/** Loads at the first call, and keeps the result. After a failure the next call tries again. */
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

/** `onProgress` is called while the codec's weights come over the network. */
export const codecLoading: { onProgress: (loaded: number, total: number) => void } = { onProgress: () => {} };

/** The codec's weights, parsed, without a device. */
export const codecWeights = once(async () => {
  const loading = fetchFile(CODEC, (loaded, total) => codecLoading.onProgress(loaded, total));
  const [{ readKlt }, bytes] = await Promise.all([import('./engine.js'), loading]);
  return readKlt(bytes);
});

/** The codec on a device, for batches of one face. */
export const codecOn = perDevice(async (gpu) => {
  const { FaceCodec } = await import('./engine.js');
  return FaceCodec.fromKlt(gpu, await codecWeights(), 1);
});

const pngWeights = once(() => fetchFile(PNG_CODEC));

/** The codec whose faces are PNG files, on a device. */
export const pngCodecOn = perDevice(async (gpu) => {
  const { AutoencoderCodec } = await import('../src/codec/autoencoder-codec.js');
  return AutoencoderCodec.fromWeights(gpu, await pngWeights());
});

const detectorWeights = once(async () => {
  if (FACE_DETECTOR) return fetchFile(DETECTOR);
  throw new NoDetectorError('this page was built without the weights of a face detector');
});

/** The face detector on a device. @throws NoDetectorError if the page has none, FetchError if it cannot be loaded */
export const detectorOn = perDevice(async (gpu) => {
  const { FaceDetector } = await import('../src/detection/face-detector.js');
  return FaceDetector.fromWeights(gpu, await detectorWeights());
});

/** An entry of models/verification-thresholds.json: the measured figures of a recogniser. */
export interface RecognizerFigures {
  /** The similarity from which two faces count as one person, by false accept rate. */
  thresholds: Readonly<Record<string, number>>;
  /** The pairs that the thresholds were chosen on: their numbers, and the true accept rate at each false accept rate. */
  pairs?: { genuine: number; impostor: number; tar: Readonly<Record<string, number>> };
  lfw?: { accuracy: number };
}

const recognizer = once(async () => {
  const bytes = await fetchFile(RECOGNIZER);
  const modelId = (await sha256(bytes)).slice(0, 16);
  const known = parseJson(decodeText(await fetchFile(THRESHOLDS), THRESHOLDS), THRESHOLDS) as Record<
    string,
    RecognizerFigures
  >;
  return { bytes, figures: known[modelId] ?? { thresholds: {} } };
});

/** The recogniser on a device, for batches of a face and its mirror image. */
export const embedderOn = perDevice(async (gpu) => {
  const { Embedder, loadRecognizer, readRecognizer } = await import('./recognition.js');
  return new Embedder(gpu, loadRecognizer(gpu, readRecognizer((await recognizer()).bytes)), 2);
});

/** Figures of the recogniser, without thresholds if this one was never measured. */
export const recognizerFigures = async (): Promise<RecognizerFigures> => (await recognizer()).figures;

/** Fetches what later steps need, so that they start at once, and also without a network. */
export async function fetchForLater(): Promise<void> {
  await Promise.all([import('../src/detection/face-detector.js'), import('./recognition.js')]);
  if (FACE_DETECTOR) await detectorWeights();
  await recognizer();
}
