import { type OpenRecognizer, openRecognizer, RECOGNIZER_NAMES } from '../data/recognizer-source.js';
import type { Gpu } from '../gpu/gpu.js';
import { openGpu } from '../gpu/node/adapters.js';
import { recognizerPlaces } from './places.js';

/** What `--model` takes, for --help. */
export const RECOGNIZER_HELP = `recogniser: ${RECOGNIZER_NAMES.join(', ')}, or a safetensors file`;

/**
 * Opens the GPU and a recogniser on it for `body`, and closes both whatever comes of it.
 * @param data folder of data sets where CAMEO_DATA names none
 */
export async function withRecognizer(
  name: string,
  data: string | undefined,
  body: (gpu: Gpu, opened: OpenRecognizer) => Promise<void>,
): Promise<void> {
  const gpu = await openGpu();
  try {
    const opened = await openRecognizer(gpu, name, recognizerPlaces(data));
    try {
      await body(gpu, opened);
    } finally {
      opened.dispose();
    }
  } finally {
    gpu.destroy();
  }
}
