import { FormatError, ModelMismatchError } from '../common/errors.js';
import type { LatentModel } from './entropy/latent-model.js';
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
 * The smallest form, for whoever knows by other means that it is a face, and where it ends:
 *   1  version in the high four bits; the low four are 0
 *   1  quantization step in the low six bits; bit 7: grey
 *   2  low half of the model id
 *   2  low half of the checksum over the four bytes before, the whole model id, and the symbols
 *   …  code of the symbols
 */
export const BARE_HEADER_BYTES = 6;

/** @throws ShapeError, ArgumentError for symbols or a step that the model has not */
export function packFaceBare(face: FaceSymbols, model: LatentModel): Uint8Array {
  const code = encodeFace(face, model);
  const fields = concatenate([Uint8Array.of(BITSTREAM_VERSION << 4, faceByte(face)), littleEndian(model.id, 2)]);
  return concatenate([fields, littleEndian(faceChecksum(fields, face.symbols, model), 2), code]);
}

/** @throws FormatError for bytes that are damaged or none of ours; ModelMismatchError for those of another model */
export function unpackFaceBare(bytes: Uint8Array, model: LatentModel): DecodedFace {
  if (bytes.length < BARE_HEADER_BYTES) {
    throw new FormatError(`bare face of ${bytes.length} bytes; its header alone has ${BARE_HEADER_BYTES}`);
  }
  if (bytes[0] !== BITSTREAM_VERSION << 4) {
    throw new FormatError(
      `bare face: first byte is ${bytes[0]}, must be ${BITSTREAM_VERSION << 4} (version ${BITSTREAM_VERSION})`,
    );
  }
  const view = viewOf(bytes);
  const id = view.getUint16(2, true);
  if (id !== (model.id & 0xffff)) {
    const half = (value: number): string => (value & 0xffff).toString(16).padStart(4, '0');
    throw new ModelMismatchError(
      `written by a model whose id ends in ${half(id)}; the model loaded is ${model.idText}`,
    );
  }
  const { t, grey } = readFaceByte(bytes[1], model);
  const symbols = decodeFace(bytes.subarray(BARE_HEADER_BYTES), t, model);
  checkFace(view.getUint16(4, true), faceChecksum(bytes.subarray(0, 4), symbols, model) & 0xffff);
  return { symbols, t, grey };
}
