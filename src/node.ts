/** `cameo/node`: the GPU in Node (through Dawn), pictures, folders of faces and training. */

export {
  type ArchiveProgress,
  type EncodeToArchiveOptions,
  type EncodeToArchiveResult,
  encodeToArchive,
} from './data/archives/encode-archive.js';
export { FileSource } from './data/archives/file-source.js';
export {
  type OpenRecognizer,
  openRecognizer,
  RECOGNIZER_NAMES,
  type ReadRecognizer,
  readRecognizerOf,
} from './data/checkpoints/recognizer-source.js';
export { FaceBatches, type FaceBatchesOptions } from './data/faces/batches.js';
export { type FaceFolderOptions, FaceSet, openFaceFolder } from './data/faces/face-set.js';
export { FileError, writeFileAtomic } from './data/files/atomic-file.js';
export { externalDataIn } from './data/files/external-data.js';
export { encodePng, type ReadImageOptions, type RgbImage, readImage, writePng } from './data/pictures/image.js';
export {
  type ImageBatch,
  type ImageBatchesOptions,
  ImageFolder,
  type ImageFolderOptions,
} from './data/pictures/image-folder.js';
export {
  LandmarkIndex,
  landmarksOf,
  type PhotoLandmarks,
  parseLandmarks,
  readLandmarks,
} from './data/pictures/landmarks.js';
export {
  alignFace,
  FACE_HEIGHT,
  FACE_WIDTH,
  type FaceLandmarks,
  LANDMARK_NAMES,
  type Point,
} from './detection/align.js';
export { type FoundAdapter, listAdapters, type OpenGpuOptions, openGpu } from './gpu/node/adapters.js';
export { endWorker } from './gpu/node/end-worker.js';
export { type ProbedAdapter, probeAdapters } from './gpu/node/probe.js';
export { saveTuning } from './gpu/node/tuning-file.js';
export {
  type AutoencoderTrainingConfig,
  /** @deprecated Use `AutoencoderTrainingConfig`, as it is called now. */
  type AutoencoderTrainingConfig as CodecTrainingConfig,
  DEFAULT_AUTOENCODER_TRAINING,
  /** @deprecated Use `DEFAULT_AUTOENCODER_TRAINING`, as it is called now. */
  DEFAULT_AUTOENCODER_TRAINING as DEFAULT_CODEC_TRAINING,
} from './training/autoencoder-config.js';
export { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from './training/recognition-config.js';
export {
  type TrainAutoencoderOptions,
  /** @deprecated Use `TrainAutoencoderOptions`, as it is called now. */
  type TrainAutoencoderOptions as TrainCodecOptions,
  type TrainAutoencoderResult,
  /** @deprecated Use `TrainAutoencoderResult`, as it is called now. */
  type TrainAutoencoderResult as TrainCodecResult,
  trainAutoencoder,
  /** @deprecated Use `trainAutoencoder`, as it is called now. */
  trainAutoencoder as trainCodec,
} from './training/train-autoencoder.js';
export {
  type TrainRecognitionOptions,
  type TrainRecognitionResult,
  trainRecognition,
} from './training/train-recognition.js';
