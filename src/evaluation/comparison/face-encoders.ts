import type { AutoencoderCodec } from '../../codec/autoencoder-codec.js';
import { ENCODER_VERSION } from '../../codec/byte-budget.js';
import { packFaceBare } from '../../codec/container/face-bare.js';
import { BITSTREAM_VERSION, type FaceSymbols } from '../../codec/container/face-code.js';
import type { FaceCodec } from '../../codec/face-codec.js';
import { FORMAT_VERSION, packLatentsPng } from '../../codec/png/container.js';
import { ArgumentError } from '../../common/errors.js';
import { FACE_HEIGHT, FACE_WIDTH } from '../../detection/align.js';
import { encodeWithin } from '../codecs/encode-within.js';
import type { EncodingCache } from '../codecs/encoding-cache.js';
import type { ForeignCodec } from '../codecs/foreign-codec.js';

/** A face, encoded within a budget. */
export interface RestoredFace {
  size: number;
  rgb: Uint8Array;
  /** If the file is a PNG of our symbols: the bytes of the same symbols in our own bare container. */
  ownSize?: number;
}

/** A codec for the comparison, which encodes many faces at a time. */
export interface FaceEncoder {
  name: string;
  title: string;
  /** Changes whenever the files may change. */
  version: string;
  /** Budgets that it is measured at; all of the comparison's when absent. */
  budgets?: readonly number[];
  /** In the order of the faces; null if no file fits. */
  encodeAll(
    faces: readonly Uint8Array[],
    maxBytes: number,
    onProgress: (done: number, total: number) => void,
  ): Promise<(RestoredFace | null)[]>;
}

/** Whether a codec is measured at a budget. */
export const isAsked = ({ budgets }: FaceEncoder, budget: number): boolean => !budgets || budgets.includes(budget);

/** The grey picture that replaces a face without a file. @param bytes of its pixels */
export const standIn = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(128);

/** One of the codecs that faces are compared with. */
export function baselineEncoder(codec: ForeignCodec, cache: EncodingCache, signal?: AbortSignal): FaceEncoder {
  return {
    name: codec.name,
    title: codec.title,
    version: codec.version,
    encodeAll: (faces, maxBytes, onProgress) => encodeWithin(codec, faces, maxBytes, { cache, onProgress, signal }),
  };
}

const BATCH = 16;
/** Version of our own encoder and of its format. */
const VERSION = `${ENCODER_VERSION}.${BITSTREAM_VERSION}`;

/** Our own bitstream, bare: header and checksum counted. */
export function cameoEncoder(codec: FaceCodec, cache: EncodingCache, title = 'Cameo', name = 'cameo'): FaceEncoder {
  return ownEncoder(
    name,
    title,
    `${codec.modelId}-${VERSION}-bare`,
    cache,
    async (faces, maxBytes) =>
      (await codec.encode(faces, { maxBytes }, 'bare')).map((file) => ({ file, size: file.length })),
    (files) => codec.decode(files),
  );
}

/**
 * Of each face, what it is encoded to at the finest rate whose file fits; null where none does. Rates are tried by bisection, and faces
 * that are to be tried at the same rate go through the network together.
 * @param encode files of the faces at a rate
 */
async function finestThatFit<T extends { file: Uint8Array }>(
  faces: readonly Uint8Array[],
  rates: number,
  maxBytes: number,
  encode: (faces: Uint8Array[], rate: number) => Promise<T[]>,
): Promise<(T | null)[]> {
  const best: (T | null)[] = faces.map(() => null);
  const low = faces.map(() => -1);
  const high = faces.map(() => rates);
  const middle = (k: number): number => (low[k] + high[k]) >> 1;
  for (;;) {
    const open = [...faces.keys()].filter((k) => high[k] - low[k] > 1);
    if (open.length === 0) return best;
    for (const rate of new Set(open.map(middle))) {
      const some = open.filter((k) => middle(k) === rate);
      const made = await encode(
        some.map((k) => faces[k]),
        rate,
      );
      some.forEach((k, n) => {
        if (made[n].file.length <= maxBytes) {
          low[k] = rate;
          best[k] = made[n];
        } else high[k] = rate;
        open.splice(open.indexOf(k), 1);
      });
    }
  }
}

/** Quantization indices of the PNG container's 16 rates in this comparison. */
const pngStep = (rate: number): number => 14 + 2 * rate;
const PNG_RATES = 16;

/** The same network with its symbols in a PNG, as the paper's framework stores them: the finest of 16 steps that fits. */
export function cameoPngEncoder(codec: FaceCodec, cache: EncodingCache): FaceEncoder {
  const rates = Array.from({ length: PNG_RATES }, (_, rate) => rate).filter(
    (rate) => pngStep(rate) < codec.model.config.steps,
  ).length;
  const { height, width, channels } = codec.latents.fields;
  const pack = (found: FaceSymbols, rate: number) => {
    // A PNG holds one byte for each symbol, so faces are restored from such symbols.
    const symbols = Int16Array.from(found.symbols, withinByte);
    const data = Uint8Array.from(symbols, (symbol) => symbol + 128);
    // One channel in each row keeps symbols of similar size together, which suits PNG's filters.
    const latents = { height: channels, width: height * width, channels: 1, data: transposed(data, channels) };
    return { file: packLatentsPng(latents, { modelId: codec.modelId, rate }), face: { ...found, symbols } };
  };
  return ownEncoder(
    'cameo-png',
    'Cameo network, PNG container',
    `${codec.modelId}-${VERSION}-png-2`,
    cache,
    async (faces, maxBytes) => {
      const best = await finestThatFit(faces, rates, maxBytes, async (some, rate) =>
        (await codec.symbolsOf(some, { step: pngStep(rate) })).map((found) => pack(found, rate)),
      );
      // What is kept is the same symbols in our own container, from which they can be restored.
      return best.map((one) => one && { file: packFaceBare(one.face, codec.latents), size: one.file.length });
    },
    (files) => codec.decode(files),
  );
}

/** What `cameo encode --container png` makes: the paper's autoencoder, at the finest of its rates that fits. */
export function autoencoderPngEncoder(
  codec: AutoencoderCodec,
  cache: EncodingCache,
  title = 'Autoencoder, PNG',
  name = 'autoencoder-png',
): FaceEncoder {
  /** For each face, by rate; every budget uses the same files. */
  const made = new WeakMap<Uint8Array, Map<number, Uint8Array>>();
  const filesAt = async (faces: readonly Uint8Array[], rate: number): Promise<{ file: Uint8Array }[]> => {
    const fresh = faces.filter((face) => !made.get(face)?.has(rate));
    for (const [k, file] of (await codec.encode(fresh, rate)).entries()) {
      made.set(fresh[k], (made.get(fresh[k]) ?? new Map()).set(rate, file));
    }
    return faces.map((face) => ({ file: made.get(face)!.get(rate)! }));
  };
  return ownEncoder(
    name,
    title,
    `${codec.modelId}-png-${FORMAT_VERSION}`,
    cache,
    async (faces, maxBytes) => {
      const best = await finestThatFit(faces, codec.rates, maxBytes, filesAt);
      return best.map((one) => one && { file: one.file, size: one.file.length });
    },
    (files) => codec.decode(files),
  );
}

/** The nearest symbol within ±127 of the same parity, because the parity decides how later symbols are read. */
function withinByte(symbol: number): number {
  const max = 127 - ((symbol & 1) ^ 1);
  return Math.max(-max, Math.min(max, symbol));
}

/** [positions, channels] to [channels, positions]. */
function transposed(data: Uint8Array, channels: number): Uint8Array {
  const positions = data.length / channels;
  return Uint8Array.from(data, (_, at) => data[(at % positions) * channels + Math.floor(at / positions)]);
}

/** An encoder whose files are kept in the cache, and which takes faces in batches. */
function ownEncoder(
  name: string,
  title: string,
  version: string,
  cache: EncodingCache,
  encode: (faces: Uint8Array[], maxBytes: number) => Promise<({ file: Uint8Array; size: number } | null)[]>,
  decode: (files: Uint8Array[]) => Promise<Uint8Array[]>,
): FaceEncoder {
  const key: ForeignCodec = {
    name,
    title,
    version,
    encode: () => Promise.reject(new ArgumentError(`${name} encodes in batches`)),
    decode: () => Promise.reject(new ArgumentError(`${name} decodes in batches`)),
  };
  return {
    name,
    title,
    version,
    async encodeAll(faces, maxBytes, onProgress) {
      const results: (RestoredFace | null)[] = [];
      for (let first = 0; first < faces.length; first += BATCH) {
        const batch = faces.slice(first, first + BATCH);
        const requests = batch.map((rgb) => ({ codec: key, rgb, width: FACE_WIDTH, height: FACE_HEIGHT, maxBytes }));
        const known = await Promise.all(requests.map((request) => cache.get(request)));
        const missing = [...batch.keys()].filter((k) => known[k] === undefined);
        const fresh = await encode(
          missing.map((k) => batch[k]),
          maxBytes,
        );
        for (const [n, k] of missing.entries()) {
          const made = fresh[n];
          known[k] = made && { bytes: made.file, size: made.size, settings: '' };
          await cache.put(requests[k], known[k]);
        }
        const fitting = [...batch.keys()].filter((k) => known[k] !== null);
        const restored = await decode(fitting.map((k) => known[k]!.bytes));
        const own: (RestoredFace | null)[] = batch.map(() => null);
        fitting.forEach((k, n) => {
          own[k] = { size: known[k]!.size, rgb: restored[n], ownSize: known[k]!.bytes.length };
        });
        results.push(...own);
        onProgress(results.length, faces.length);
      }
      return results;
    },
  };
}
