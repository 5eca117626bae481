import { encodeBaselines } from './baselines.js';
import type { ForeignCodec } from './foreign-codec.js';

const SIDE = 16;
const GREY = /* @__PURE__ */ new Uint8Array(SIDE * SIDE * 3).fill(128);
const PLENTY = 65536;

/**
 * Lets each codec encode a small picture, so that a missing package is reported before the work begins.
 * @throws CameoError that says what to install
 */
export async function tryCodecs(codecs: readonly ForeignCodec[]): Promise<void> {
  for (const codec of codecs) await codec.encode(GREY, SIDE, SIDE, PLENTY);
}

/** The same for JPEG and JPEG2000 as `evaluateAutoencoder` and the demo use them. @throws as `tryCodecs` */
export async function tryBaselines(): Promise<void> {
  await encodeBaselines(GREY, SIDE, SIDE, PLENTY);
}
