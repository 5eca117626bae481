import { CheckpointError } from '../common/errors.js';
import { parseProgramJson } from '../common/program-json.js';
import type { Gpu } from '../gpu/gpu.js';
import { checkFiniteTensors, type HostTensors } from '../nn/host-tensor.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { ARCHITECTURES, buildRecognizer, type RecognizerDescription } from './architectures.js';
import type { Recognizer } from './recognizer.js';
import { fromStateDict, recognizeStateDict, withoutWrappers } from './state-dict.js';

export { ARCHITECTURES, type Architecture, buildRecognizer, type RecognizerDescription } from './architectures.js';
export { recognizeStateDict } from './state-dict.js';

/** Metadata that describe the network: JSON of a `RecognizerDescription`. */
export const RECOGNIZER_KEY = 'cameo.recognizer';

/** A recogniser's weights as a safetensors file, with its description (and other text) in the metadata. */
export function writeRecognizer(
  description: RecognizerDescription,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return writeSafetensors(
    tensors,
    new Map(Object.entries({ ...metadata, [RECOGNIZER_KEY]: JSON.stringify(description) })),
  );
}

export interface RecognizerFile {
  description: RecognizerDescription;
  /** In the layouts of this engine. */
  tensors: HostTensors;
  metadata: Map<string, string>;
}

/** Whether a safetensors file is one that `writeRecognizer` made. */
export const isRecognizerFile = ({ metadata }: { metadata: ReadonlyMap<string, string> }): boolean =>
  metadata.has(RECOGNIZER_KEY);

/**
 * Reads a recogniser: a file of `writeRecognizer`, or a published one in PyTorch's layouts, which is recognised by its tensors.
 * @throws CheckpointError for anything else
 */
export function readRecognizer(bytes: Uint8Array): RecognizerFile {
  const { tensors, metadata } = readSafetensors(bytes);
  checkFiniteTensors(tensors);
  const text = metadata.get(RECOGNIZER_KEY);
  if (text === undefined) {
    const unwrapped = withoutWrappers(tensors);
    const description = recognizeStateDict(unwrapped);
    if (!description) {
      throw new CheckpointError(
        `not a recogniser: metadata "${RECOGNIZER_KEY}" is missing, and the tensors are of no network that is known (${ARCHITECTURES.join(', ')})`,
      );
    }
    return { description, tensors: fromStateDict(description, unwrapped), metadata };
  }
  try {
    const description = parseProgramJson(text, 'it') as RecognizerDescription;
    buildRecognizer(description); // checks it
    return { description, tensors, metadata };
  } catch (cause) {
    throw new CheckpointError(`metadata "${RECOGNIZER_KEY}" describes no network: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The network of a file, on a GPU and in evaluation mode. @throws CheckpointError for tensors that do not fit it */
export function loadRecognizer(gpu: Gpu, { description, tensors }: RecognizerFile): Recognizer {
  const model = buildRecognizer(description);
  loadState(model, tensors, gpu);
  model.eval();
  return model;
}
