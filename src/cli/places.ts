import { join } from 'node:path';
import type { RecognizerPlaces } from '../data/checkpoints/recognizer-source.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { cacheRoots } from '../gpu/node/swiftshader.js';
import { note } from './terminal.js';

/** The folder of data sets: --data, else CAMEO_DATA, else ../shared/data. */
export const dataFolder = (option?: string): string => option ?? (process.env.CAMEO_DATA || '../shared/data');

/** Where recognisers' weights lie: published ones in CAMEO_DATA, in the folder that --data names, or in ../shared/data. */
export const recognizerPlaces = (data = dataFolder()): RecognizerPlaces => ({
  data: [...new Set([process.env.CAMEO_DATA || data, data, dataFolder()])],
  own: join(PACKAGE_ROOT, 'models', 'recognizer.safetensors'),
  note,
});

/** A file in the user's cache (CAMEO_CACHE, else ~/.cache/cameo). */
export const cacheFile = (...parts: string[]): string => join(cacheRoots()[0], ...parts);

/** The folder of what other codecs made of faces, which takes hours for thousands of them. */
export const encodingsFolder = (): string => cacheFile('encodings');

/** The file of a recogniser's embeddings of pictures, by their content. */
export const embeddingsFile = (modelId: string): string => cacheFile('embeddings', modelId);
