import type { DecodedFace } from '../../src/codec/container/face-code.js';
import { DETAIL_BLOCKS, type Detail, detailPlanes } from '../../src/codec/detail/detail-stream.js';
import { RANKS } from '../../src/codec/detail/detail-transform.js';
import type { LatentModel } from '../../src/codec/entropy/latent-model.js';
import { CounterRandom } from '../../src/common/random.js';
import { readVectors } from './bitstream-fixture.js';
import { readFixture } from './read-fixture.js';

/** A layer with symbols that get rarer and smaller with the rank, as in a real one. */
export function madeUpDetail(seed: number, step: number, grey: boolean, density: number): Detail {
  const random = new CounterRandom(seed, 3);
  const symbols = new Int16Array(detailPlanes(grey) * RANKS * DETAIL_BLOCKS);
  for (let k = 0; k < symbols.length; k++) {
    const rank = Math.floor(k / DETAIL_BLOCKS) % RANKS;
    const plane = Math.floor(k / (RANKS * DETAIL_BLOCKS));
    let magnitude = 0;
    while (random.int(1000) < (density * 1000) / (1 + rank / 8 + 3 * plane)) magnitude++;
    symbols[k] = random.int(2) === 0 ? magnitude : -magnitude;
  }
  return { step, symbols };
}

/** A face of detail-vectors.json. */
export interface DetailVector {
  /** Of bitstream-vectors.json: the face that the layer is added to. */
  face: number;
  grey: boolean;
  step: number;
  /** Index and symbol of those that are not 0. */
  symbols: [index: number, symbol: number][];
  code: string;
  bare: string;
  file: string;
}

export interface DetailVectors {
  faces: DetailVector[];
  /** All of them, named face 0, face 1, …, after one without a layer, named plain. */
  archive: string;
}

/** The faces of the frozen streams with detail layers, and the model that codes them. */
export async function readDetailVectors(): Promise<{
  model: LatentModel;
  vectors: DetailVectors;
  faces: DecodedFace[];
  plain: DecodedFace;
}> {
  const { model, vectors: base } = await readVectors();
  const vectors: DetailVectors = JSON.parse(new TextDecoder().decode(await readFixture('detail-vectors.json')));
  const face = (k: number): DecodedFace => {
    const { symbols, qIndex, grey } = base.faces[k];
    return { symbols: Int16Array.from(symbols), qIndex, grey };
  };
  const faces = vectors.faces.map((one) => {
    const symbols = new Int16Array(detailPlanes(one.grey) * RANKS * DETAIL_BLOCKS);
    for (const [index, symbol] of one.symbols) symbols[index] = symbol;
    return { ...face(one.face), grey: one.grey, detail: { step: one.step, symbols } };
  });
  return { model, vectors, faces, plain: face(0) };
}
