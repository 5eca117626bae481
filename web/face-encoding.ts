import type { FaceSymbols } from '../src/codec/container/face-code.js';
import type { FaceCodec } from '../src/codec/face-codec.js';

/** A face as Cameo encodes and restores it. */
export interface FaceEncoding {
  /** The .cameo file, within the budget. */
  file: Uint8Array;
  /** The same symbols as a bare face, which is 8 bytes smaller. The QR code and the link hold it. */
  bare: Uint8Array;
  restored: Uint8Array;
}

/** Encodes a face, and restores it. @throws as `FaceCodec.encode` */
export async function compressFace(codec: FaceCodec, face: Uint8Array, maxBytes: number): Promise<FaceEncoding> {
  const [symbols] = await codec.symbolsOf([face], { maxBytes });
  return packAndRestore(codec, symbols);
}

/** Restores a face from a file or a bare face. @throws as `FaceCodec.decode` */
export const restoreFace = (codec: FaceCodec, bytes: Uint8Array): Promise<FaceEncoding> =>
  packAndRestore(codec, codec.unpack(bytes));

async function packAndRestore(codec: FaceCodec, symbols: FaceSymbols): Promise<FaceEncoding> {
  const [restored] = await codec.restore([symbols]);
  const { latents } = codec;
  const { packFaceBare, packFaceFile } = await import('./engine.js');
  return { file: packFaceFile(symbols, latents), bare: packFaceBare(symbols, latents), restored };
}
