import type { Command } from 'commander';
import { addTrainAdapted } from './train-adapted.js';
import { addTrainArchitectures } from './train-architectures.js';
import { addTrainAutoencoder } from './train-autoencoder.js';
import { addTrainCodec } from './train-codec.js';
import { addTrainDetector } from './train-detector.js';
import { addTrainHead } from './train-head.js';
import { addTrainLandmarks } from './train-landmarks.js';
import { addTrainLosses } from './train-losses.js';
import { addTrainRecognition } from './train-recognition.js';
import { addTrainRecognitionFaces } from './train-recognition-faces.js';
import { addTrainTables } from './train-tables.js';

/** Adds `cameo train` to the program. */
export function addTrainCommand(program: Command): void {
  const train = program.command('train').description('train a network on your own pictures');
  addTrainCodec(train);
  addTrainTables(train);
  addTrainAutoencoder(train);
  addTrainRecognition(train);
  addTrainRecognitionFaces(train);
  addTrainHead(train);
  addTrainArchitectures(train);
  addTrainAdapted(train);
  addTrainLosses(train);
  addTrainDetector(train);
  addTrainLandmarks(train);
}
