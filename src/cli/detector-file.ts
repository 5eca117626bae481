import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from '../codec/crc32.js';
import { inOnnxFile, type OnnxFile, readOnnxFile, splitOnnxName } from '../data/checkpoints/onnx-source.js';
import { named, readWeightsFile } from '../data/checkpoints/weights-file.js';
import { FileError } from '../data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { FaceDetector } from '../detection/face-detector.js';
import { onnxFaceDetector } from '../detection/onnx-detector.js';
import type { Gpu } from '../gpu/gpu.js';

/** The detector that ships with the package. */
const SHIPPED_DETECTOR = join(PACKAGE_ROOT, 'models', 'face-detector.safetensors');

/** A detector's weights, read but not on a GPU. */
export interface DetectorFile {
  path: string;
  bytes: Uint8Array;
  /** What belongs to an ONNX file. */
  onnx?: OnnxFile;
}

/** Path of the detector: --detector, else CAMEO_DETECTOR, else the shipped one; undefined if there is none. */
export function detectorPath(option?: string): string | undefined {
  const chosen = option ?? (process.env.CAMEO_DETECTOR || undefined);
  return chosen ?? (existsSync(SHIPPED_DETECTOR) ? SHIPPED_DETECTOR : undefined);
}

/** @throws FileError if there is none, or it cannot be read */
export async function readDetector(option?: string): Promise<DetectorFile> {
  const path = detectorPath(option);
  if (path === undefined) {
    throw new FileError(
      'there is no face detector: give its weights with --detector FILE or CAMEO_DETECTOR, or give landmarks with --landmarks',
    );
  }
  if (splitOnnxName(path)) {
    const onnx = await readOnnxFile(path);
    return { path: onnx.path, bytes: onnx.bytes, onnx };
  }
  const { bytes } = await readWeightsFile(path, () => undefined);
  return { path, bytes };
}

/** The detector of a file, on a GPU. @throws CheckpointError with the path */
export const detectorOf = (gpu: Gpu, { path, bytes, onnx }: DetectorFile): FaceDetector =>
  onnx
    ? inOnnxFile(path, () => onnxFaceDetector(gpu, bytes, onnx.words, onnx.external))
    : named(path, () => FaceDetector.fromWeights(gpu, bytes));

/** Eight hexadecimal digits that reports name weights by. */
export const weightsId = (weights: Uint8Array): string => crc32(weights).toString(16).padStart(8, '0');
