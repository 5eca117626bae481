import { CheckpointError } from '../common/errors.js';
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
