import type { FaceSymbols } from '../src/codec/container/face-code.js';
import type { FaceCodec } from '../src/codec/face-codec.js';

/** What Cameo made of a face. */
export interface FaceEncoding {
  /** The .cameo file, within the budget. */
  file: Uint8Array;
  /** The same symbols in the bare container, 8 bytes less: what the QR code and the link hold. */
  bare: Uint8Array;
  restored: Uint8Array;
}

/** Encodes a face, and restores it. @throws as `FaceCodec.encode` */
export async function compressFace(codec: FaceCodec, face: Uint8Array, maxBytes: number): Promise<FaceEncoding> {
  const [symbols] = await codec.symbolsOf([face], { maxBytes });
  return packed(codec, symbols);
}

/** Restores a face from a container of its own. @throws as `FaceCodec.decode` */
export const restoreFace = (codec: FaceCodec, bytes: Uint8Array): Promise<FaceEncoding> =>
  packed(codec, codec.unpack(bytes));

async function packed(codec: FaceCodec, symbols: FaceSymbols): Promise<FaceEncoding> {
  const [restored] = await codec.restore([symbols]);
  const { latents } = codec;
  const { packFaceBare, packFaceFile } = await import('./engine.js');
  return { file: packFaceFile(symbols, latents), bare: packFaceBare(symbols, latents), restored };
}
