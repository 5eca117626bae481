import { packFaceBare } from '../src/codec/container/face-bare.js';
import { packFaceFile } from '../src/codec/container/face-file.js';
import type { FaceCodec } from '../src/codec/face-codec.js';

/** What Cameo made of a face. */
export interface FaceEncoding {
  /** The .cameo file, within the budget. */
  file: Uint8Array;
  /** The same symbols in the bare container, 8 bytes less: what the QR code holds. */
  bare: Uint8Array;
  restored: Uint8Array;
}

/** Encodes faces together, and restores them. */
export async function encodeFaces(
  codec: FaceCodec,
  faces: readonly Uint8Array[],
  maxBytes: number,
): Promise<FaceEncoding[]> {
  const symbols = await codec.symbolsOf(faces, { maxBytes });
  const restored = await codec.restore(symbols);
  return symbols.map((face, k) => ({
    file: packFaceFile(face, codec.latents),
    bare: packFaceBare(face, codec.latents),
    restored: restored[k],
  }));
}
