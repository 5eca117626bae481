import { FormatError } from '../../common/errors.js';
import { formatModelId, type LatentModel } from '../entropy/latent-model.js';
import {
  BITSTREAM_VERSION,
  checkFace,
  checkModel,
  checkVersion,
  concatenate,
  DETAILED_VERSION,
  type DecodedFace,
  decodeFace,
  encodeFace,
  type FaceSymbols,
  faceByte,
  faceChecksum,
  faceHead,
  faceVersion,
  littleEndian,
  viewOf,
} from './face-code.js';

/*
 * A file of one face:
 *   4  9E 'C' 'M' 'F'; the first byte is not text in any common encoding
 *   1  version: 1, or 2 with a detail layer
 *   1  quantization index in the low six bits; bit 6: with a detail layer; bit 7: grey
 *   4  model id
 *   4  checksum over the ten bytes before, the model id, and the symbols
 *   …  code of the symbols, up to the end of the file
 */
const MAGIC = /* @__PURE__ */ Uint8Array.of(0x9e, 0x43, 0x4d, 0x46);
export const FILE_HEADER_BYTES = 14;
const FIELD_BYTES = 10;

/**
 * @param code of the symbols, if it is known
 * @throws ShapeError, ArgumentError for symbols or an index that the model does not have
 */
export function packFaceFile(
  face: FaceSymbols,
  model: LatentModel,
  code: Uint8Array = encodeFace(face, model),
): Uint8Array {
  const fields = concatenate([MAGIC, Uint8Array.of(faceVersion(face), faceByte(face)), littleEndian(model.id, 4)]);
  return concatenate([fields, littleEndian(faceChecksum(fields, face, model.id), 4), code]);
}

/** Whether a file begins as a face file; it may still be damaged. */
export function isFaceFile(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, k) => bytes[k] === byte);
}

/**
 * What a file's header says, without the model. It has the eight hexadecimal digits of the model's id.
 * @throws FormatError for another kind of file, or another version
 */
export function readFaceFileHeader(bytes: Uint8Array): {
  version: number;
  modelId: string;
  qIndex: number;
  grey: boolean;
  detailed: boolean;
} {
  if (!isFaceFile(bytes)) throw new FormatError('not a face file: it does not begin with 9E "CMF"');
  if (bytes.length < FILE_HEADER_BYTES) {
    throw new FormatError(`truncated: file of ${bytes.length} bytes; its header alone has ${FILE_HEADER_BYTES}`);
  }
  if (bytes[4] !== BITSTREAM_VERSION && bytes[4] !== DETAILED_VERSION) {
    throw new FormatError(
      `format version ${bytes[4]} is not supported, this program reads versions ${BITSTREAM_VERSION} and ${DETAILED_VERSION}`,
    );
  }
  const modelId = formatModelId(viewOf(bytes).getUint32(6, true));
  const head = faceHead(bytes[5]);
  checkVersion(bytes[4], head);
  return { version: bytes[4], modelId, ...head };
}

/** @throws FormatError for a file that is damaged or of another format; ModelMismatchError for one of another model */
export function unpackFaceFile(bytes: Uint8Array, model: LatentModel): DecodedFace {
  readFaceFileHeader(bytes);
  const view = viewOf(bytes);
  const id = view.getUint32(6, true);
  checkModel(id, model);
  const face = decodeFace(bytes.subarray(FILE_HEADER_BYTES), bytes[5], model);
  checkFace(view.getUint32(FIELD_BYTES, true), faceChecksum(bytes.subarray(0, FIELD_BYTES), face, id));
  return face;
}
