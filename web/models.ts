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

/** Told while the codec's weights come over the network. */
export const codecLoading: { onProgress: (loaded: number, total: number) => void } = { onProgress: () => {} };

/** The codec's weights; they need no device. */
export const codecWeights = once(async () => {
  const loading = fetchFile(CODEC, (loaded, total) => codecLoading.onProgress(loaded, total));
  const [{ readKlt }, bytes] = await Promise.all([import('./engine.js'), loading]);
  return readKlt(bytes);
});

/** The codec on a device, a face at a time. */
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

/** The face detector on a device. @throws NoDetectorError where the page has none, FetchError where it cannot be loaded */
export const detectorOn = perDevice(async (gpu) => {
  const { FaceDetector } = await import('../src/detection/face-detector.js');
  return FaceDetector.fromWeights(gpu, await detectorWeights());
});

/** What is known of a recogniser: models/verification-thresholds.json. */
export interface RecognizerFigures {
  /** Where decisions begin, by false accept rate. */
  thresholds: Readonly<Record<string, number>>;
  /** What each threshold accepts of the pairs that it was chosen on. */
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

/** The recogniser on a device, for a face and its mirror image at a time. */
export const embedderOn = perDevice(async (gpu) => {
  const { Embedder, loadRecognizer, readRecognizer } = await import('./recognition.js');
  return new Embedder(gpu, loadRecognizer(gpu, readRecognizer((await recognizer()).bytes)), 2);
});

/** Figures of the recogniser; no thresholds where nobody has measured this one. */
export const recognizerFigures = async (): Promise<RecognizerFigures> => (await recognizer()).figures;

/** Fetches what a later step needs, so that it begins at once, without a network too. */
export async function fetchForLater(): Promise<void> {
  await Promise.all([import('../src/detection/face-detector.js'), import('./recognition.js')]);
  if (FACE_DETECTOR) await detectorWeights();
  await recognizer();
}
