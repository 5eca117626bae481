import { ArgumentError, FormatError, ModelMismatchError } from '../../common/errors.js';
import { crc32 } from '../crc32.js';
import { formatModelId, type LatentModel } from '../entropy/latent-model.js';
import { decodeLatents, encodeLatents, type Symbols } from '../entropy/latent-stream.js';

/*
 * What the containers of the bitstream have in common. Three of them hold the same code: a bare face (face-bare.ts, for QR
 * codes and cards), a file (face-file.ts), and an archive of many faces (face-archive.ts). Numbers are little-endian.
 */

export const BITSTREAM_VERSION = 1;
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
}

export type DecodedFace = FaceSymbols & { symbols: Int16Array };

const GREY = 0x80;
/** Quantization index in the low six bits, bit 7: grey. Bit 6 is 0. */
export function faceByte({ qIndex, grey }: FaceSymbols): number {
  return qIndex | (grey ? GREY : 0);
}

/** @throws FormatError for reserved bits, or an index that the model does not have */
export function readFaceByte(byte: number, model: LatentModel): { qIndex: number; grey: boolean } {
  if (byte & 0x40) throw new FormatError('face: bit 6 beside the quantization index is set, must be 0');
  const qIndex = byte & 63;
  const { steps } = model.fields;
  if (qIndex >= steps) throw new FormatError(`quantization index ${qIndex}; this model has 0 to ${steps - 1}`);
  return { qIndex, grey: (byte & GREY) !== 0 };
}

/** The code of the symbols. */
export function encodeFace({ symbols, qIndex }: FaceSymbols, model: LatentModel): Uint8Array {
  const code = encodeLatents(symbols, qIndex, model);
  if (code.length > MAX_FACE_BYTES) {
    throw new ArgumentError(`the symbols take ${code.length} bytes, a face has at most ${MAX_FACE_BYTES}`);
  }
  return code;
}

/** @throws FormatError for a code that is too long or visibly damaged */
export function decodeFace(code: Uint8Array, qIndex: number, model: LatentModel): Int16Array {
  if (code.length > MAX_FACE_BYTES) {
    throw new FormatError(`face of ${code.length} bytes, at most ${MAX_FACE_BYTES} are allowed`);
  }
  return decodeLatents(code, qIndex, model);
}

/**
 * CRC-32 of a header, the model's id, and the decoded symbols as 16-bit integers: it also detects a decoder that came to other
 * symbols, and another model whose id agrees in the part that the header has.
 * @param modelId of the model that wrote the face
 */
export function faceChecksum(header: Uint8Array, symbols: Symbols, modelId: number): number {
  const id = crc32(littleEndian(modelId, 4), crc32(header));
  const words = symbols instanceof Int16Array ? symbols : Int16Array.from(symbols);
  return crc32(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), id);
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
