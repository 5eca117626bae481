/**
 * `cameo/detection`: the engine, and faces with their landmarks in photographs. Nothing here imports anything of Node: it runs
 * in browsers too.
 */
export type { FaceLandmarks, Point } from '../common/face-landmarks.js';
export type { RgbImage } from '../common/rgb-image.js';
export * from '../engine.js';
export { alignFace, FACE_HEIGHT, FACE_WIDTH } from './align.js';
export { type CropFacesOptions, type CroppedFace, cropFaces, type FaceChoice } from './crop-faces.js';
export { type EncodePhotoOptions, encodePhoto, type PhotoCode } from './encode-photo.js';
export { type DetectedFace, type DetectOptions, FaceDetector, MAX_DETECTION_PIXELS } from './face-detector.js';
export type { QualityKind, QualityNote } from './face-quality.js';
