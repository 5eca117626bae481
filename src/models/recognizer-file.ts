import { CheckpointError } from '../common/errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { HostTensor, HostTensors } from '../nn/host-tensor.js';
import { fromPyTorchLayout } from '../nn/layout.js';
import { readSafetensors, writeSafetensors } from '../nn/safetensors.js';
import { loadState } from '../nn/state.js';
import { CameoFace, type CameoFaceConfig } from './cameo-face.js';
import { MobileFaceNet } from './mobilefacenet.js';
import { MobileFaceNetRelu6 } from './mobilefacenet-relu6.js';
import type { Recognizer } from './recognizer.js';
import { Sphere20 } from './sphere20.js';

/** Which network a file holds, and its sizes: JSON in the file's metadata. */
export type RecognizerDescription =
  | { architecture: 'mobilefacenet'; width: number; height: number }
  | { architecture: 'mobilefacenet-relu6' }
  | { architecture: 'sphere20'; dimension: number; width: number; height: number }
  | ({ architecture: 'cameo-face' } & CameoFaceConfig);

export type Architecture = RecognizerDescription['architecture'];
export const ARCHITECTURES: readonly Architecture[] = [
  'mobilefacenet',
  'mobilefacenet-relu6',
  'sphere20',
  'cameo-face',
];

const KEY = 'cameo.recognizer';

/** The network of a description, without values. @throws CheckpointError for one that describes none */
export function buildRecognizer(description: RecognizerDescription): Recognizer {
  switch (description.architecture) {
    case 'mobilefacenet':
      return new MobileFaceNet(description.width, description.height);
    case 'mobilefacenet-relu6':
      return new MobileFaceNetRelu6();
    case 'sphere20':
      return new Sphere20(description.dimension, description.width, description.height);
    case 'cameo-face':
      return new CameoFace(description);
    default: {
      const { architecture } = description as { architecture: unknown };
      throw new CheckpointError(
        `unknown architecture ${JSON.stringify(architecture)}; known: ${ARCHITECTURES.join(', ')}`,
      );
    }
  }
}

/** A recogniser's weights as a safetensors file, with its description (and other text) in the metadata. */
export function writeRecognizer(
  description: RecognizerDescription,
  tensors: HostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  return writeSafetensors(tensors, new Map(Object.entries({ ...metadata, [KEY]: JSON.stringify(description) })));
}

export interface RecognizerFile {
  description: RecognizerDescription;
  /** In the layouts of this engine. */
  tensors: HostTensors;
  metadata: Map<string, string>;
}

/**
 * Which of the published networks a PyTorch state dict is of, by the names and shapes of its tensors; null for none.
 * Its conv weights are [Cout, Cin, kh, kw].
 */
export function recognizeStateDict(tensors: ReadonlyMap<string, HostTensor>): RecognizerDescription | null {
  const shapeOf = (name: string): readonly number[] | undefined => tensors.get(name)?.shape;
  const last = shapeOf('linear7.conv.weight');
  if (last && shapeOf('blocks.0.conv.0.weight')) {
    return { architecture: 'mobilefacenet', height: 16 * last[2], width: 16 * last[3] };
  }
  if (shapeOf('gdconv.depthwise.weight') && shapeOf('features.0.conv.0.0.weight')) {
    return { architecture: 'mobilefacenet-relu6' };
  }
  return null;
}

/**
 * Reads a recogniser: a file of ours, or a published one in PyTorch's layouts, told by its tensors.
 * @throws CheckpointError for anything else
 */
export function readRecognizer(bytes: Uint8Array): RecognizerFile {
  const { tensors, metadata } = readSafetensors(bytes);
  const text = metadata.get(KEY);
  if (text === undefined) {
    const description = recognizeStateDict(tensors);
    if (!description) {
      throw new CheckpointError(
        `not a recogniser: metadata "${KEY}" is missing, and the tensors are of no network that is known (${ARCHITECTURES.join(', ')})`,
      );
    }
    return { description, tensors: fromPyTorchLayout(buildRecognizer(description), tensors), metadata };
  }
  try {
    const description = JSON.parse(text) as RecognizerDescription;
    buildRecognizer(description); // checks it
    return { description, tensors, metadata };
  } catch (cause) {
    throw new CheckpointError(`metadata "${KEY}" describes no network: ${(cause as Error).message}`, { cause });
  }
}

/** The network of a file, on a GPU and in evaluation mode. @throws CheckpointError for tensors that do not fit it */
export function loadRecognizer(gpu: Gpu, { description, tensors }: RecognizerFile): Recognizer {
  const model = buildRecognizer(description);
  loadState(model, tensors, gpu);
  model.eval();
  return model;
}
