import { RECOGNIZER_NAMES, type ReadRecognizer, readRecognizerOf } from '../data/checkpoints/recognizer-source.js';
import { cropSize } from '../evaluation/verification/face-crops.js';
import type { Gpu } from '../gpu/gpu.js';
import { openDevice } from './device.js';
import { recognizerPlaces } from './places.js';

/** What `--model` takes, for --help. */
export const RECOGNIZER_HELP = `recogniser: ${RECOGNIZER_NAMES.join(', ')}, a safetensors file, or FILE.onnx (see docs/onnx.md)`;

/**
 * Reads and checks a recogniser for comparing faces; needs no GPU.
 * @param data folder of data sets, if CAMEO_DATA names none
 * @throws ArgumentError for an unknown name, or a network for faces that cannot be aligned; FileError, CheckpointError
 */
export async function recognizerFor(name: string, data?: string): Promise<ReadRecognizer> {
  const read = await readRecognizerOf(name, recognizerPlaces(data));
  cropSize(read.recognizer);
  return read;
}

/** Opens the GPU with a recogniser on it for `body`, and closes both in any case. */
export async function withRecognizer(opened: ReadRecognizer, body: (gpu: Gpu) => Promise<void>): Promise<void> {
  const gpu = await openDevice();
  try {
    opened.load(gpu);
    await body(gpu);
  } finally {
    opened.dispose();
    gpu.destroy();
  }
}
