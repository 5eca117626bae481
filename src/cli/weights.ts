import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { modelIdOf, readableIdsOf } from '../codec/autoencoder-codec.js';
import { type KltFile, type KltTables, readKlt } from '../codec/codec-weights.js';
import { formatModelId } from '../codec/entropy/latent-model.js';
import { ArgumentError, CheckpointError } from '../common/errors.js';
import { readWeightsFile } from '../data/checkpoints/weights-file.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../detection/align.js';
import { Autoencoder } from '../models/autoencoder.js';
import { KltAutoencoder } from '../models/klt-autoencoder.js';
import { isKltFile } from '../models/klt-file.js';
import { type AutoencoderFile, readAutoencoder } from '../models/model-file.js';
import { checkTensors } from '../nn/host-tensor.js';
import { readSafetensorsMetadata } from '../nn/safetensors.js';
import { DASH } from './stdin.js';
import { STDIN_NAME } from './terminal.js';

/** 'codec': faces of any number of bytes, in containers of our own; 'autoencoder': faces of a few rates, in PNGs. */
export type CodecKind = 'codec' | 'autoencoder';

/** Weights that ship with the package. */
const SHIPPED: Record<CodecKind, string> = {
  codec: join(PACKAGE_ROOT, 'models', 'face.safetensors'),
  autoencoder: join(PACKAGE_ROOT, 'models', 'codec.safetensors'),
};

/** A weights file that has been read and checked, but is not on a GPU. */
interface AnyWeights {
  path: string;
  bytes: Uint8Array;
  /** 8 hexadecimal digits. */
  modelId: string;
  /** Ids of the models whose files these weights decode, their own first. */
  readableIds: readonly string[];
}

/** Whether weights decode the files of a model. @param idEnd the id's last digits, as many as a file has of it */
export const canRead = ({ readableIds }: Pick<AnyWeights, 'readableIds'>, idEnd: string): boolean =>
  readableIds.some((id) => id.endsWith(idEnd));

export type CodecWeights = AnyWeights & { kind: 'codec'; file: KltFile & { tables: KltTables } };
export type AutoencoderWeights = AnyWeights & { kind: 'autoencoder'; file: AutoencoderFile };
export type Weights = CodecWeights | AutoencoderWeights;
export type WeightsOf<K extends CodecKind> = Extract<Weights, { kind: K }>;

/** The weights that the user chose, by --model or else CAMEO_MODEL. */
export const chosenWeights = (option?: string): string | undefined => option ?? (process.env.CAMEO_MODEL || undefined);

/** Path of the weights: those that the user chose, else the shipped ones. */
export const weightsPath = (option?: string, kind: CodecKind = 'autoencoder'): string =>
  chosenWeights(option) ?? SHIPPED[kind];

/** Path of the shipped weights. */
export const shippedWeights = (kind: CodecKind): string => SHIPPED[kind];

/** Whether weights of this kind ship with the package. */
export const areShipped = (kind: CodecKind): boolean => existsSync(SHIPPED[kind]);

/** @throws FileError, or CheckpointError for a file without a codec for faces of 96×112; ArgumentError for "-" */
export async function readWeights(path: string): Promise<Weights> {
  if (path === DASH) throw new ArgumentError(`--model ${DASH}: weights are read from a file, not from ${STDIN_NAME}`);
  const { file: weights } = await readWeightsFile(path, (bytes) => {
    const weights = isKltFile(readSafetensorsMetadata(bytes)) ? parseCodec(path, bytes) : parseAutoencoder(path, bytes);
    const { width, height } = weights.file.config;
    if (width !== FACE_WIDTH || height !== FACE_HEIGHT) {
      throw new CheckpointError(
        `a model for pictures of ${width}×${height}; expected ${FACE_WIDTH}×${FACE_HEIGHT} (width×height)`,
      );
    }
    return weights;
  });
  return weights;
}

function parseCodec(path: string, bytes: Uint8Array): CodecWeights {
  const file = readKlt(bytes);
  checkTensors(file.tensors, new KltAutoencoder(file.config).entries(), 'the network');
  const { tables } = file;
  if (!tables) {
    throw new CheckpointError('the weights have no tables for the entropy coder; `cameo train tables` adds them');
  }
  const readableIds = tables.model.ids.map(formatModelId);
  return { kind: 'codec', path, bytes, modelId: readableIds[0], readableIds, file: { ...file, tables } };
}

function parseAutoencoder(path: string, bytes: Uint8Array): AutoencoderWeights {
  const file = readAutoencoder(bytes);
  checkTensors(file.tensors, new Autoencoder(file.config).entries(), 'the network');
  return { kind: 'autoencoder', path, bytes, modelId: modelIdOf(file), readableIds: readableIdsOf(file), file };
}

const MAKES: Record<CodecKind, string> = { codec: '.cameo and .cameo.bare', autoencoder: '.cameo.png' };

/** @throws CheckpointError for weights of the other codec */
export function expectKind<K extends CodecKind>(weights: Weights, kind: K): WeightsOf<K> {
  if (weights.kind !== kind) {
    throw new CheckpointError(`${weights.path}: weights for ${MAKES[weights.kind]}; expected some for ${MAKES[kind]}`);
  }
  return weights as WeightsOf<K>;
}

/** The codec that makes faces for training: the one that CAMEO_MODEL names, else the one that is shipped. */
export const readGeneratorWeights = async (): Promise<CodecWeights> =>
  expectKind(await readWeights(weightsPath(undefined, 'codec')), 'codec');
