/** `cameo`: the engine with the face codec on it. Nothing here imports anything of Node: it runs in browsers too. */

export { AutoencoderCodec, modelIdOf } from './codec/autoencoder-codec.js';
export type { ArchivedFace } from './codec/container/archive-layout.js';
export {
  type ByteSource,
  bytesSource,
  FaceArchive,
  type FaceCollection,
  packArchive,
} from './codec/container/face-archive.js';
export type { DecodedFace, FaceSymbols } from './codec/container/face-code.js';
export { FaceJournal, openFaces } from './codec/container/face-journal.js';
export type { Detail } from './codec/detail/detail-stream.js';
export {
  EncodedFace,
  type EncodeManyOptions,
  type EncodeProgress,
  encodeMany,
  type FaceInput,
  type FailedFace,
} from './codec/encode-many.js';
export {
  FaceCodec,
  /** @deprecated Use `FaceCodec`, as the class is called now. */
  FaceCodec as BudgetCodec,
} from './codec/face-codec.js';
export type {
  AnyContainer,
  /** @deprecated Use `AnyContainer`, as it is called now. */
  AnyContainer as FaceHolder,
  FaceContainer,
  FaceTarget,
} from './codec/face-target.js';
export { LATENT_LIMITS, type Latents } from './codec/latents.js';
export { FORMAT_VERSION, packLatentsPng, type UnpackedFile, unpackLatentsPng } from './codec/png/container.js';
export * from './engine.js';
export {
  Autoencoder,
  type AutoencoderConfig,
  DEFAULT_AUTOENCODER,
  type QuantizationMode,
  SYMBOL_RANGE,
} from './models/autoencoder.js';
export { CameoFace, type CameoFaceConfig, DEFAULT_CAMEO_FACE } from './models/cameo-face.js';
export { DlibResNet } from './models/dlib-resnet.js';
export { Embedder, mirrored } from './models/embedder.js';
export { faceEmbedding, faceSimilarity } from './models/face-similarity.js';
export { MobileFaceNet } from './models/mobilefacenet.js';
export { MobileFaceNetRelu6 } from './models/mobilefacenet-relu6.js';
export { type AutoencoderFile, loadAutoencoder, readAutoencoder, writeAutoencoder } from './models/model-file.js';
export { Recognizer } from './models/recognizer.js';
export {
  loadRecognizer,
  type RecognizerDescription,
  type RecognizerFile,
  readRecognizer,
  writeRecognizer,
} from './models/recognizer-file.js';
export { Sphere20 } from './models/sphere20.js';
