import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../common/errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import { DlibResNet } from '../../models/dlib-resnet.js';
import { OnnxRecognizer } from '../../models/onnx-recognizer.js';
import type { Recognizer } from '../../models/recognizer.js';
import { buildRecognizer, type RecognizerDescription, readRecognizer } from '../../models/recognizer-file.js';
import { checkTensors, type HostTensors } from '../../nn/host-tensor.js';
import { loadState } from '../../nn/state.js';
import { FileError } from '../files/atomic-file.js';
import { readDlibWeights } from './dlib-weights.js';
import { inOnnxFile, readOnnxFile, splitOnnxName } from './onnx-source.js';
import { readWeightsFile } from './weights-file.js';

/** A recogniser, ready to embed, and what names it in reports and caches. */
export interface OpenRecognizer {
  /** For file names and tables. */
  name: string;
  /** 16 hexadecimal digits: a hash of the weights file. */
  modelId: string;
  recognizer: Recognizer;
  /** The architecture as a weights file describes it; absent for a network whose files we cannot write. */
  description?: RecognizerDescription;
  /** Frees the network. */
  dispose(): void;
}

/** A recogniser whose weights have been read and checked, but are not on a GPU yet; `load` puts them there. */
export interface ReadRecognizer extends OpenRecognizer {
  /** The weights, in the layouts of this engine; none for an ONNX file, which only `load` reads. */
  tensors: HostTensors;
  load(gpu: Gpu): void;
}

/** Puts weights that were read on a GPU. */
export function loadRecognizers(gpu: Gpu, recognizers: readonly (OpenRecognizer | ReadRecognizer | undefined)[]): void {
  for (const one of recognizers) if (one && 'load' in one) one.load(gpu);
}

/** Published networks whose weights lie in the folder `weights` of the data sets. */
const PUBLISHED: Record<string, string> = {
  'mobilefacenet-casia': 'mobilefacenet-casia-112x96.safetensors',
  'mobilefacenet-ms1m': 'mobilefacenet-ms1m-112x112.safetensors',
};

export const RECOGNIZER_NAMES: readonly string[] = ['cameo', ...Object.keys(PUBLISHED), 'dlib'];

/** Where the weights of a recogniser's name are. */
export interface RecognizerPlaces {
  /** Folder of data sets, or several: the first that has the weights counts. */
  data: string | readonly string[];
  /** Our own recogniser's weights. */
  own: string;
  /** Gets a line about what is assumed because an ONNX file does not say it. */
  note?: (line: string) => void;
}

/**
 * The file of a name, or of a path to a safetensors file.
 * @throws ArgumentError that lists the names, FileError that lists the places where weights were looked for
 */
export function recognizerPath(name: string, { data, own }: RecognizerPlaces): string {
  if (name === 'cameo') return own;
  if (Object.hasOwn(PUBLISHED, name)) {
    const paths = [data].flat().map((folder) => join(folder, 'weights', PUBLISHED[name]));
    const found = paths.find((path) => existsSync(path));
    if (found) return found;
    throw new FileError(`recogniser ${name}: its weights are in none of these places: ${paths.join(', ')}`);
  }
  if (existsSync(name)) return name;
  throw new ArgumentError(`recogniser ${name}: neither a file nor one of ${RECOGNIZER_NAMES.join(', ')}`);
}

/**
 * What a file is called in tables and in names of files: its name without extension. A file
 * that was given by its path, but has the name of a known recogniser, gets a part of its id added.
 */
export function recognizerLabel(path: string, modelId: string): string {
  const stem = path.replace(/^.*[\\/]/, '').replace(/\.(safetensors|onnx)$/i, '');
  return RECOGNIZER_NAMES.includes(stem.toLowerCase()) ? `${stem}-${modelId.slice(0, 8)}` : stem;
}

const idOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 16);

/**
 * Loads a recogniser by name or path.
 * @throws ArgumentError for an unknown name, FileError, CheckpointError
 */
export async function openRecognizer(gpu: Gpu, name: string, places: RecognizerPlaces): Promise<OpenRecognizer> {
  const read = await readRecognizerOf(name, places);
  read.load(gpu);
  return read;
}

/**
 * Reads a recogniser by name or path, and checks that its tensors fit; that takes no GPU.
 * @throws as `openRecognizer`
 */
export async function readRecognizerOf(name: string, places: RecognizerPlaces): Promise<ReadRecognizer> {
  if (name === 'dlib') {
    const { tensors, bytes } = await readDlibWeights();
    return unloaded(new DlibResNet(), tensors, { name, modelId: idOf(bytes) });
  }
  if (splitOnnxName(name)) return readOnnxRecognizer(name, places);
  const path = recognizerPath(name, places);
  const { bytes, file } = await readWeightsFile(path, (bytes) => {
    const file = readRecognizer(bytes);
    checkTensors(file.tensors, buildRecognizer(file.description).entries(), 'the network');
    return file;
  }).catch((cause: unknown) => {
    if (!(cause instanceof FileError)) throw cause;
    throw new FileError(`recogniser ${name}: cannot read ${cause.message}`, { cause });
  });
  const { description, tensors } = file;
  const modelId = idOf(bytes);
  const label = RECOGNIZER_NAMES.includes(name) ? name : recognizerLabel(path, modelId);
  return unloaded(buildRecognizer(description), tensors, { name: label, modelId, description });
}

/** A recogniser of an ONNX file, whose name words about its pictures may follow: see `parsePictureWords`. */
async function readOnnxRecognizer(name: string, { note }: RecognizerPlaces): Promise<ReadRecognizer> {
  const file = await readOnnxFile(name).catch((cause: unknown) => {
    if (!(cause instanceof FileError || cause instanceof ArgumentError)) throw cause;
    throw new (cause.constructor as typeof FileError)(`recogniser ${name}: ${cause.message}`, { cause });
  });
  const { path, bytes, words, external } = file;
  const recognizer = inOnnxFile(path, () => new OnnxRecognizer(bytes, words));
  for (const location of recognizer.externalFiles) inOnnxFile(path, () => external(location));
  const modelId = file.id();
  if (recognizer.pictures.assumed) {
    note?.(
      `${path} does not say how pixels go in: taken as rgb, (byte − 127.5)/128; ${path}:bgr:mean=127.5:scale=0.0078125 would say otherwise`,
    );
  }
  return {
    name: recognizerLabel(path, modelId),
    modelId,
    recognizer,
    tensors: new Map(),
    load: (gpu) => inOnnxFile(path, () => recognizer.putOn(gpu, external)),
    dispose: () => recognizer.dispose(),
  };
}

function unloaded(
  recognizer: Recognizer,
  tensors: HostTensors,
  about: Pick<OpenRecognizer, 'name' | 'modelId' | 'description'>,
): ReadRecognizer {
  checkTensors(tensors, recognizer.entries(), 'the network');
  return {
    ...about,
    recognizer,
    tensors,
    load(gpu) {
      loadState(recognizer, tensors, gpu);
      recognizer.eval();
    },
    dispose: () => recognizer.dispose(),
  };
}
