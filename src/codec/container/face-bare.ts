import { FormatError, ModelMismatchError } from '../../common/errors.js';
import type { LatentModel } from '../entropy/latent-model.js';
import {
  BITSTREAM_VERSION,
  checkFace,
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
 * The smallest container, for readers that know by other means that it is a face, and where it ends:
 *   1  version in the high four bits: 1, or 2 with a detail layer; the low four are 0
 *   1  quantization index in the low six bits; bit 6: with a detail layer; bit 7: grey
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
  const fields = concatenate([Uint8Array.of(faceVersion(face) << 4, faceByte(face)), littleEndian(model.id, 2)]);
  return concatenate([fields, littleEndian(faceChecksum(fields, face, model.id), 2), code]);
}

/** Whether a bare face can begin with this byte. */
export const isBareStart = (byte: number): boolean => byte === BITSTREAM_VERSION << 4 || byte === DETAILED_VERSION << 4;

/**
 * What the header says, without the model. It has the last four hexadecimal digits of the model's id.
 * @throws FormatError for bytes that are not a face, or of another version
 */
export function readBareHeader(bytes: Uint8Array): {
  version: number;
  modelIdEnd: string;
  qIndex: number;
  grey: boolean;
  detailed: boolean;
} {
  if (bytes.length < BARE_HEADER_BYTES) {
    throw new FormatError(`truncated: bare face of ${bytes.length} bytes; its header alone has ${BARE_HEADER_BYTES}`);
  }
  if (!isBareStart(bytes[0])) {
    throw new FormatError(
      `bare face: first byte is ${bytes[0]}, must be ${BITSTREAM_VERSION << 4} (version ${BITSTREAM_VERSION}) or ${DETAILED_VERSION << 4} (version ${DETAILED_VERSION})`,
    );
  }
  const [version, head] = [bytes[0] >> 4, faceHead(bytes[1])];
  checkVersion(version, head);
  const modelIdEnd = endOfId(viewOf(bytes).getUint16(2, true));
  return { version, modelIdEnd, ...head };
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
  const face = decodeFace(bytes.subarray(BARE_HEADER_BYTES), bytes[1], model);
  checkFace(viewOf(bytes).getUint16(4, true), faceChecksum(bytes.subarray(0, 4), face, id) & 0xffff);
  return face;
}
