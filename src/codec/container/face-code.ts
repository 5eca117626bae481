import { ArgumentError, FormatError, ModelMismatchError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import { type Detail, decodeDetail, encodeDetail } from '../detail/detail-stream.js';
import { formatModelId, type LatentModel } from '../entropy/latent-model.js';
import { decodeLatents, encodeLatents, type Symbols } from '../entropy/latent-stream.js';

/*
 * What the containers of the bitstream have in common. Three of them hold the same code: a bare face (face-bare.ts, for QR
 * codes and cards), a file (face-file.ts), and an archive of many faces (face-archive.ts). Numbers are little-endian.
 */

/** Of archives, and of faces without a detail layer. */
export const BITSTREAM_VERSION = 1;
/** Of files and bare faces with a detail layer, so that earlier programs say that they cannot read them. */
export const DETAILED_VERSION = 2;
/** The most bytes of a face that are written or read. */
export const MAX_FACE_BYTES = 65535;

/** One face as the network sees it. */
export interface FaceSymbols {
  /** [height, width, channels], as the model of the latents has them. */
  symbols: Symbols;
  /** Quantization index. */
  qIndex: number;
  /** Whether the picture was grey: the decoder then restores a grey one. */
  grey: boolean;
  /** What is added to the picture that the symbols give. */
  detail?: Detail;
}

export type DecodedFace = FaceSymbols & { symbols: Int16Array };

/** What the face byte says. */
export interface FaceHead {
  qIndex: number;
  grey: boolean;
  /** Whether the code goes on with a detail layer. */
  detailed: boolean;
}

const GREY = 0x80;
const DETAILED = 0x40;
/** Quantization index in the low six bits; bit 6: with a detail layer; bit 7: grey. */
export function faceByte({ qIndex, grey, detail }: FaceSymbols): number {
  return qIndex | (grey ? GREY : 0) | (detail ? DETAILED : 0);
}

/** What a face byte says, unchecked. */
export const faceHead = (byte: number): FaceHead => ({
  qIndex: byte & 63,
  grey: (byte & GREY) !== 0,
  detailed: (byte & DETAILED) !== 0,
});

/** The version of a file or bare face. */
export const faceVersion = ({ detail }: FaceSymbols): number => (detail ? DETAILED_VERSION : BITSTREAM_VERSION);

/** @throws FormatError for a face byte that does not fit the version of its file or bare face */
export function checkVersion(version: number, { detailed }: FaceHead): void {
  if (detailed !== (version === DETAILED_VERSION)) {
    throw new FormatError(
      `face: bit 6 beside the quantization index is ${detailed ? 1 : 0} in format version ${version}`,
    );
  }
}

/** @throws FormatError for an index that the model does not have */
function readFaceByte(byte: number, model: LatentModel): FaceHead {
  const head = faceHead(byte);
  const { steps } = model.fields;
  if (head.qIndex >= steps)
    throw new FormatError(`quantization index ${head.qIndex}; this model has 0 to ${steps - 1}`);
  return head;
}

/** The code of the symbols, and of the detail layer if there is one. */
export function encodeFace({ symbols, qIndex, grey, detail }: FaceSymbols, model: LatentModel): Uint8Array {
  const code = encodeLatents(symbols, qIndex, model, detail && ((coder) => encodeDetail(coder, detail, grey)));
  if (code.length > MAX_FACE_BYTES) {
    throw new ArgumentError(`the symbols take ${code.length} bytes, a face has at most ${MAX_FACE_BYTES}`);
  }
  return code;
}

/**
 * @param byte the face byte
 * @throws FormatError for a code that is too long or visibly damaged, or an index that the model does not have
 */
export function decodeFace(code: Uint8Array, byte: number, model: LatentModel): DecodedFace {
  const { qIndex, grey, detailed } = readFaceByte(byte, model);
  if (code.length > MAX_FACE_BYTES) {
    throw new FormatError(`face of ${code.length} bytes, at most ${MAX_FACE_BYTES} are allowed`);
  }
  if (!detailed) return { symbols: decodeLatents(code, qIndex, model), qIndex, grey };
  let detail: Detail | undefined;
  const symbols = decodeLatents(code, qIndex, model, (coder) => {
    detail = decodeDetail(coder, grey);
  });
  return { symbols, qIndex, grey, detail };
}

/**
 * CRC-32 of a header, the model's id, and the decoded symbols as 16-bit integers, then those of the detail layer: it also detects a decoder that came to other
 * symbols, and another model whose id agrees in the part that the header has.
 * @param modelId of the model that wrote the face
 */
export function faceChecksum(
  header: Uint8Array,
  { symbols, detail }: Pick<FaceSymbols, 'symbols' | 'detail'>,
  modelId: number,
): number {
  const id = crc32(littleEndian(modelId, 4), crc32(header));
  const sum = crc32(wordBytes(symbols), id);
  return detail ? crc32(wordBytes(detail.symbols), crc32(Uint8Array.of(detail.step), sum)) : sum;
}

/** Symbols as integers of 16 bits. */
function wordBytes(symbols: Symbols): Uint8Array {
  const words = symbols instanceof Int16Array ? symbols : Int16Array.from(symbols);
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** @throws FormatError if the stored checksum does not match the face */
export function checkFace(stored: number, actual: number): void {
  if (stored !== actual)
    throw new FormatError('checksum over header and symbols does not match: the face is corrupt or cut off');
}

/** @throws ModelMismatchError for an id whose files the model does not read */
export function checkModel(id: number, model: LatentModel): void {
  if (!model.ids.includes(id)) {
    throw new ModelMismatchError(`written by model ${formatModelId(id)}; the model loaded is ${model.idText}`);
  }
}

/** The `count` low bytes of an integer. */
export function littleEndian(value: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, k) => (value >>> (8 * k)) & 255);
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
