/**
 * Writes the file that detail.test.ts decodes: frozen faces with detail layers, by the model of bitstream-vectors.ts. Only a
 * new version of the format may change it: npx tsx kernels-test/codec/detail-vectors.ts
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { packArchive } from '../../src/codec/container/face-archive.js';
import { packFaceBare } from '../../src/codec/container/face-bare.js';
import { type DecodedFace, encodeFace } from '../../src/codec/container/face-code.js';
import { packFaceFile } from '../../src/codec/container/face-file.js';
import type { Detail } from '../../src/codec/detail/detail-stream.js';
import { readVectors, toHex } from './bitstream-fixture.js';
import { type DetailVectors, madeUpDetail } from './detail-fixture.js';

const { model, vectors } = await readVectors();
const extreme = madeUpDetail(4, 63, false, 0.02);
// These symbols need escapes, at the first and last places of planes.
for (const [at, symbol] of [
  [0, 32767],
  [5, -3],
  [10751, -32767],
  [10752, 4],
  [32255, -1500],
])
  extreme.symbols[at] = symbol;
const none = madeUpDetail(5, 0, true, 0);
none.symbols[7] = -1;
const layers: { face: number; grey: boolean; detail: Detail }[] = [
  { face: 1, grey: false, detail: madeUpDetail(1, 22, false, 0.05) },
  { face: 2, grey: true, detail: madeUpDetail(2, 16, true, 0.1) },
  { face: 5, grey: false, detail: madeUpDetail(3, 8, false, 0.3) },
  { face: 7, grey: false, detail: extreme },
  { face: 8, grey: true, detail: none },
];
const face = (k: number): DecodedFace => {
  const { symbols, qIndex, grey } = vectors.faces[k];
  return { symbols: Int16Array.from(symbols), qIndex, grey };
};
const faces = layers.map(({ face: k, grey, detail }) => ({ ...face(k), grey, detail }));
const written: DetailVectors = {
  faces: layers.map(({ face: k, grey, detail }, n) => ({
    face: k,
    grey,
    step: detail.step,
    symbols: [...detail.symbols.entries()].filter(([, symbol]) => symbol !== 0),
    code: toHex(encodeFace(faces[n], model)),
    bare: toHex(packFaceBare(faces[n], model)),
    file: toHex(packFaceFile(faces[n], model)),
  })),
  archive: toHex(
    packArchive([{ ...face(0), name: 'plain' }, ...faces.map((one, k) => ({ ...one, name: `face ${k}` }))], model),
  ),
};
writeFileSync(fileURLToPath(new URL('detail-vectors.json', import.meta.url)), `${JSON.stringify(written)}\n`);
