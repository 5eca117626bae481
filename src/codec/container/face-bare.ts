import { FormatError, ModelMismatchError } from '../../common/errors.js';
import type { LatentModel } from '../entropy/latent-model.js';
import {
  BITSTREAM_VERSION,
  checkFace,
  concatenate,
  type DecodedFace,
  decodeFace,
  encodeFace,
  type FaceSymbols,
  faceByte,
  faceChecksum,
  littleEndian,
  readFaceByte,
  viewOf,
} from './face-code.js';

/*
 * The smallest container, for readers that know by other means that it is a face, and where it ends:
 *   1  version in the high four bits; the low four are 0
 *   1  quantization index in the low six bits; bit 7: grey
 *   2  low half of the model id
 *   2  low half of the checksum over the four bytes before, the whole model id, and the symbols
 *   …  code of the symbols
 */
export const BARE_HEADER_BYTES = 6;

/**
 * @param code of the symbols, if it is known
 * @throws ShapeError, ArgumentError for symbols or an index that the model does not have
 */
export function packFaceBare(
  face: FaceSymbols,
  model: LatentModel,
  code: Uint8Array = encodeFace(face, model),
): Uint8Array {
  const fields = concatenate([Uint8Array.of(BITSTREAM_VERSION << 4, faceByte(face)), littleEndian(model.id, 2)]);
  return concatenate([fields, littleEndian(faceChecksum(fields, face.symbols, model.id), 2), code]);
}

/**
 * What the header says, without the model. It has the last four hexadecimal digits of the model's id.
 * @throws FormatError for bytes that are not a face, or of another version
 */
export function readBareHeader(bytes: Uint8Array): {
  version: number;
  modelIdEnd: string;
  qIndex: number;
  grey: boolean;
} {
  if (bytes.length < BARE_HEADER_BYTES) {
    throw new FormatError(`truncated: bare face of ${bytes.length} bytes; its header alone has ${BARE_HEADER_BYTES}`);
  }
  if (bytes[0] !== BITSTREAM_VERSION << 4) {
    throw new FormatError(
      `bare face: first byte is ${bytes[0]}, must be ${BITSTREAM_VERSION << 4} (version ${BITSTREAM_VERSION})`,
    );
  }
  const modelIdEnd = endOfId(viewOf(bytes).getUint16(2, true));
  return { version: BITSTREAM_VERSION, modelIdEnd, qIndex: bytes[1] & 63, grey: bytes[1] > 127 };
}

const endOfId = (id: number): string => (id & 0xffff).toString(16).padStart(4, '0');

/** @throws FormatError for bytes that are damaged or of another format; ModelMismatchError for those of another model */
export function unpackFaceBare(bytes: Uint8Array, model: LatentModel): DecodedFace {
  const { modelIdEnd } = readBareHeader(bytes);
  const id = model.ids.find((one) => endOfId(one) === modelIdEnd);
  if (id === undefined) {
    throw new ModelMismatchError(
      `written by a model whose id ends in ${modelIdEnd}; the model loaded is ${model.idText}`,
    );
  }
  const { qIndex, grey } = readFaceByte(bytes[1], model);
  const symbols = decodeFace(bytes.subarray(BARE_HEADER_BYTES), qIndex, model);
  checkFace(viewOf(bytes).getUint16(4, true), faceChecksum(bytes.subarray(0, 4), symbols, id) & 0xffff);
  return { symbols, qIndex, grey };
}
