/**
 * Writes shipped-vectors.json, which shipped-vectors.test.ts and browser-codec.test.ts decode: streams of the shipped model, of
 * invented faces. Run it again when the weights change: npx tsx kernels-test/codec/shipped-vectors.ts
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readKlt, tablesOf } from '../../src/codec/codec-weights.js';
import { packFaceBare } from '../../src/codec/container/face-bare.js';
import { packFaceFile } from '../../src/codec/container/face-file.js';
import { CounterRandom } from '../../src/common/random.js';
import { fromHex, toHex } from './bitstream-fixture.js';

/** A face in the containers of the shipped model, in hexadecimal digits; symbols are 16-bit integers, little-endian. */
interface ShippedVector {
  qIndex: number;
  grey: boolean;
  symbols: string;
  bare: string;
  file: string;
}

export interface ShippedFace {
  qIndex: number;
  grey: boolean;
  symbols: Int16Array;
  bare: Uint8Array;
  file: Uint8Array;
}

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const VECTORS = beside('shipped-vectors.json');
/** Streams of the model whose weights were quantised to become the shipped ones; nothing writes this file any more. */
const EARLIER = beside('shipped-vectors-ff7b0a36.json');

/** The tables of the shipped model, its architecture and its values. */
export async function shippedModel() {
  const file = readKlt(await readFile(beside('../../models/face.safetensors')));
  return { file, ...tablesOf(file) };
}

export const readShippedVectors = (): Promise<ShippedFaces> => readFaces(VECTORS);
export const readEarlierVectors = (): Promise<ShippedFaces> => readFaces(EARLIER);

interface ShippedFaces {
  model: string;
  faces: ShippedFace[];
}

async function readFaces(path: string): Promise<ShippedFaces> {
  const { model, faces } = JSON.parse(await readFile(path, 'utf8')) as { model: string; faces: ShippedVector[] };
  return {
    model,
    faces: faces.map(({ qIndex, grey, symbols, bare, file }) => {
      const view = new DataView(fromHex(symbols).buffer);
      const all = Int16Array.from({ length: view.byteLength / 2 }, (_, at) => view.getInt16(2 * at, true));
      return { qIndex, grey, symbols: all, bare: fromHex(bare), file: fromHex(file) };
    }),
  };
}

/** Quantization indices, from the coarsest to the finest that faces of 150 to 1000 bytes have, and beyond. */
const STEPS = [0, 20, 28, 36, 44, 55];

async function write(): Promise<void> {
  const { file, model, order } = await shippedModel();
  const of = (name: string): Float32Array => file.tensors.get(name)!.data;
  const faces = STEPS.map((qIndex, k): ShippedVector => {
    const random = new CounterRandom(k);
    const symbols = Int16Array.from(order, (at) =>
      Math.round(random.normal() * Math.exp(of('logScale')[at] + of('logGain')[at]) * 2 ** (qIndex / 8)),
    );
    // This symbol needs an escape.
    if (k === 2) symbols[5] = -700;
    const face = { symbols, qIndex, grey: k % 3 === 1 };
    const words = new DataView(new ArrayBuffer(2 * symbols.length));
    symbols.forEach((symbol, at) => {
      words.setInt16(2 * at, symbol, true);
    });
    return {
      ...face,
      symbols: toHex(new Uint8Array(words.buffer)),
      bare: toHex(packFaceBare(face, model)),
      file: toHex(packFaceFile(face, model)),
    };
  });
  const content = `${JSON.stringify({ model: model.idText, faces }, null, 2)}\n`;
  const before = await readFile(VECTORS, 'utf8').catch(() => '');
  if (before.includes(`"model": "${model.idText}"`) && before !== content) {
    throw new Error(
      `${VECTORS} has other streams of the same model: what was written with it could not be read any more`,
    );
  }
  console.log(faces.map(({ qIndex, bare }) => `index ${qIndex}: ${bare.length / 2} bytes`).join(', '));
  await writeFile(VECTORS, content);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write();
