/** `cameo/node`: the GPU in Node (through Dawn), pictures, folders of faces and training. */

export {
  alignFace,
  FACE_HEIGHT,
  FACE_WIDTH,
  type FaceLandmarks,
  LANDMARK_NAMES,
  type Point,
} from './data/align.js';
export { FileError, writeFileAtomic } from './data/atomic-file.js';
export { FaceBatches, type FaceBatchesOptions } from './data/batches.js';
export {
  type ArchiveProgress,
  type EncodeToArchiveOptions,
  type EncodeToArchiveResult,
  encodeToArchive,
} from './data/encode-archive.js';
export { type FaceFolderOptions, FaceSet, openFaceFolder } from './data/faces.js';
export { FileSource } from './data/file-source.js';
export { encodePng, type ReadImageOptions, type RgbImage, readImage, writePng } from './data/image.js';
export { LandmarkIndex, landmarksOf, type PhotoLandmarks, parseLandmarks, readLandmarks } from './data/landmarks.js';
export { type OpenRecognizer, openRecognizer, RECOGNIZER_NAMES } from './data/recognizer-source.js';
export { type FoundAdapter, listAdapters, type OpenGpuOptions, openGpu } from './gpu/node/adapters.js';
export { endWorker } from './gpu/node/end-worker.js';
export { type ProbedAdapter, probeAdapters } from './gpu/node/probe.js';
export { saveTuning } from './gpu/node/tuning-file.js';
export { type CodecTrainingConfig, DEFAULT_CODEC_TRAINING } from './training/codec-config.js';
export { DEFAULT_RECOGNITION_TRAINING, type RecognitionTrainingConfig } from './training/recognition-config.js';
export { type TrainCodecOptions, type TrainCodecResult, trainCodec } from './training/train-codec.js';
export {
  type TrainRecognitionOptions,
  type TrainRecognitionResult,
  trainRecognition,
} from './training/train-recognition.js';
