import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { constants, deflateRawSync, inflateSync } from 'node:zlib';
import { dataFolder } from '../src/cli/places.js';
import { expectKind, readWeights } from '../src/cli/weights.js';
import { AutoencoderCodec } from '../src/codec/autoencoder-codec.js';
import { latentsFromSymbols } from '../src/codec/latents.js';
import { readPng } from '../src/codec/png/chunks.js';
import { packLatentsPng } from '../src/codec/png/container.js';
import { type DeflateParts, deflateParts, deflateSmallest } from '../src/codec/png/deflate.js';
import { filterCandidates, unfilter } from '../src/codec/png/filter.js';
import { ArgumentError } from '../src/common/errors.js';
import { openFaceFolder } from '../src/data/faces/face-set.js';
import { writeFileAtomic } from '../src/data/files/atomic-file.js';
import { meanOf } from '../src/evaluation/metrics/mean-of.js';
import { runMetadata } from '../src/evaluation/reports/collect-metadata.js';
import { listLines, metadataTexts } from '../src/evaluation/reports/run-metadata.js';
import { markdownTable } from '../src/evaluation/reports/tables.js';
import { openGpu } from '../src/gpu/node/adapters.js';
import { largestFirst } from '../src/training/sort-channels.js';

/*
 * tsx bench/png-costs.ts [--model FILE] [--faces 100]: what PNG takes for the symbols of the autoencoder, on faces of split `val`: the
 * parts of a file, and what other orders, filters, deflate coders and headers would take. Writes results/paper/png-costs.md.
 */

/** Signature, IHDR, and what surrounds the data of IDAT and IEND. */
const PNG_FRAME = 8 + 25 + 12 + 12;
/** Two bytes before the deflated data, Adler-32 after it. */
const ZLIB_FRAME = 6;
/** The chunk that version 1 had: length, name, CRC, and 10 bytes of data. */
const VERSION_1_CHUNK = 12 + 10;
/** Of a file, before its symbols. */
const HEADER_PIXELS = 6;

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/codec.safetensors' },
    faces: { type: 'string', default: '100' },
  },
});
const limit = Number(values.faces);
if (!(Number.isInteger(limit) && limit > 0)) throw new ArgumentError(`--faces is ${values.faces}; expected a number`);

/** The symbols of a face. */
interface FaceMap {
  /** [positions, channels] */
  symbols: Float32Array;
  channels: number;
  height: number;
  width: number;
  /** Channels from the largest scale to the smallest. */
  sorted: readonly number[];
  /** The pixels of the header. */
  header: Uint8Array;
  /** Bytes of the IDAT data, as one row by channel without a filter, and without the header. */
  usual: number;
}

const natural = ({ channels }: FaceMap): number[] => Array.from({ length: channels }, (_, c) => c);
const positionsOf = ({ height, width }: FaceMap): number[] => Array.from({ length: height * width }, (_, p) => p);
const pixel = (symbol: number): number => symbol + 128;
/** 0, −1, 1, −2, … become 0, 1, 2, 3, … */
const folded = (symbol: number): number => (symbol > 0 ? 2 * symbol - 1 : -2 * symbol);

const byChannel = (map: FaceMap, order: readonly number[], value = pixel): Uint8Array =>
  Uint8Array.from(order.flatMap((c) => positionsOf(map).map((p) => value(map.symbols[p * map.channels + c]))));
const byPosition = (map: FaceMap, order: readonly number[]): Uint8Array =>
  Uint8Array.from(positionsOf(map).flatMap((p) => order.map((c) => pixel(map.symbols[p * map.channels + c]))));

/** One row of pixels as deflate gets it: with the byte that says that it has no filter. */
const row = (pixels: Uint8Array): Uint8Array => Uint8Array.of(0, ...pixels);
const smallest = (data: Uint8Array, { height, width }: FaceMap): number =>
  deflateSmallest(data, height * width).length + ZLIB_FRAME;
const zlib = (data: Uint8Array, level: number, strategy: number): number =>
  deflateRawSync(data, { level, strategy, memLevel: 9 }).length + ZLIB_FRAME;
/** Two symbols of 4 bits in a byte. */
const inPairs = (pixels: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: pixels.length / 2 }, (_, k) => ((pixels[2 * k] - 120) << 4) | (pixels[2 * k + 1] - 120));

/** Bytes of the IDAT data of one face by each way to write it; null where the way cannot hold the face. */
const WAYS: readonly [string, string, (map: FaceMap) => number | null][] = [
  ['order', 'by channel', ({ usual }) => usual],
  ['order', 'by position', (map) => smallest(row(byPosition(map, natural(map))), map)],
  ['order', 'by channel, the largest scale first', (map) => smallest(row(byChannel(map, map.sorted)), map)],
  ['order', 'by channel, the smallest first', (map) => smallest(row(byChannel(map, [...map.sorted].reverse())), map)],
  ['order', 'by position, the largest scale first', (map) => smallest(row(byPosition(map, map.sorted)), map)],
  ['pixel', '0, −1, 1, −2, … as 0, 1, 2, 3, …', (map) => smallest(row(byChannel(map, natural(map), folded)), map)],
  [
    'filter',
    'none, 1 row',
    (map) => smallest(filterCandidates(byChannel(map, natural(map)), map.symbols.length)[0], map),
  ],
  ...['none', 'sub', 'up', 'average', 'paeth', 'by row'].flatMap((name, k) =>
    [
      ['a row a channel', (map: FaceMap) => map.height * map.width] as const,
      ['maps one below another', (map: FaceMap) => map.width] as const,
    ].map(
      ([rows, width]) =>
        [
          'filter',
          `${name}, ${rows}`,
          (map: FaceMap) => smallest(filterCandidates(byChannel(map, natural(map)), width(map))[k], map),
        ] as [string, string, (map: FaceMap) => number],
    ),
  ),
  ...(
    [
      ['default', constants.Z_DEFAULT_STRATEGY],
      ['filtered', constants.Z_FILTERED],
      ['Huffman alone', constants.Z_HUFFMAN_ONLY],
      ['runs', constants.Z_RLE],
      ['fixed codes', constants.Z_FIXED],
    ] as const
  ).flatMap(([name, strategy]) =>
    [1, 6, 9].map(
      (level) =>
        [
          'deflate',
          `zlib ${level}, ${name}`,
          (map: FaceMap) => zlib(row(byChannel(map, natural(map))), level, strategy),
        ] as [string, string, (map: FaceMap) => number],
    ),
  ),
  ['deflate', 'ours', ({ usual }) => usual],
  [
    'depth',
    '4 bits, where −8 … 7 hold all symbols',
    (map) =>
      map.symbols.every((q) => q >= -8 && q <= 7) ? smallest(row(inPairs(byChannel(map, natural(map)))), map) : null,
  ],
];

const gpu = await openGpu();
try {
  const codec = AutoencoderCodec.fromWeights(gpu, expectKind(await readWeights(values.model), 'autoencoder').bytes);
  const set = await openFaceFolder(dataFolder(), { split: 'val', limit });
  const faces = await set.batch(await set.readable());
  const tables: string[] = [];
  for (let rate = 0; rate < codec.rates; rate++) {
    const files = await codec.encode(faces, rate);
    const scales = await codec.model.logScale[rate].tensor.read();
    const sorted = largestFirst(scales);
    const [height, width] = codec.model.latentSize;
    const maps = files.map((file) => {
      const { symbols } = codec.unpack(file);
      const map = { symbols, channels: scales.length, height, width, sorted, header: headerOf(file), usual: 0 };
      return { ...map, usual: smallest(row(byChannel(map, natural(map))), map) };
    });
    tables.push(partsTable(rate, files, maps), waysTable(rate, files, maps));
    console.log(tables.slice(-2).join('\n\n'));
  }
  const metadata = {
    ...runMetadata(gpu.description),
    command: ['tsx bench/png-costs.ts', ...process.argv.slice(2)].join(' '),
  };
  const about = `${listLines(metadataTexts(metadata))}\n- Means over ${faces.length} faces of split val, model ${codec.modelId}`;
  await mkdir('results/paper', { recursive: true });
  await writeFileAtomic('results/paper/png-costs.md', `# What PNG takes\n\n${about}\n\n${tables.join('\n\n')}\n`);
  codec.dispose();
} finally {
  gpu.destroy();
}

/** Bits of an ideal coder of independent symbols: with the file's own distribution, all channels in one. */
function entropyBits(symbols: Float32Array): number {
  const counts = new Map<number, number>();
  for (const symbol of symbols) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  return [...counts.values()].reduce((bits, count) => bits - count * Math.log2(count / symbols.length), 0);
}

function headerOf(file: Uint8Array): Uint8Array {
  const filtered = inflateSync(readPng(file).find(({ type }) => type === 'IDAT')!.data);
  return unfilter(filtered, filtered.length - 1, 1).subarray(0, HEADER_PIXELS);
}

/** What deflate gets for a file: one row without a filter. */
function wholeRow(map: FaceMap): Uint8Array {
  return row(Uint8Array.of(...map.header, ...byChannel(map, natural(map))));
}

/** Bytes that the header adds to a file. */
function headerBytes(map: FaceMap): number {
  return deflateSmallest(wholeRow(map), map.height * map.width, 1 + HEADER_PIXELS).length + ZLIB_FRAME - map.usual;
}

function partsTable(rate: number, files: readonly Uint8Array[], maps: readonly FaceMap[]): string {
  const parts = maps.map((map) => deflateParts(wholeRow(map), map.height * map.width, 1 + HEADER_PIXELS));
  const bytes = (key: keyof DeflateParts): number => meanOf(parts.map((part) => part[key] / 8));
  const fileBytes = meanOf(files.map(({ length }) => length));
  const rows: [string, number][] = [
    ['signature, IHDR, frames of IDAT and IEND', PNG_FRAME],
    ['frame of zlib', ZLIB_FRAME],
    ['deflate: tables', bytes('tables')],
    ['deflate: literals', bytes('literals')],
    ['deflate: matches', bytes('matches')],
    ['deflate: ends of blocks', bytes('ends')],
  ];
  return markdownTable({
    title: `Rate ${rate}: parts of a file`,
    columns: ['Part', 'Bytes', 'Share'],
    rows: [
      ...rows.map(([name, size]) => [name, size.toFixed(1), `${((100 * size) / fileBytes).toFixed(1)} %`]),
      ['file', fileBytes.toFixed(1), '100.0 %'],
    ],
    note: `${meanOf(maps.map(({ symbols }) => symbols.filter((q) => q !== 0).length)).toFixed(0)} of ${maps[0].symbols.length} symbols are not 0. The entropy of a file's symbols, if they were independent and had one distribution, is ${(meanOf(maps.map(({ symbols }) => entropyBits(symbols))) / 8).toFixed(1)} bytes. The ${HEADER_PIXELS} pixels of the header are in a block of their own, and add ${meanOf(maps.map(headerBytes)).toFixed(1)} bytes to the deflated data. The parts are those of a row without a filter.`,
  });
}

function waysTable(rate: number, files: readonly Uint8Array[], maps: readonly FaceMap[]): string {
  const frame = PNG_FRAME + meanOf(maps.map(headerBytes));
  const rows = WAYS.map(([what, name, sizeOf]) => {
    const fit = maps.flatMap((map) => {
      const own = sizeOf(map);
      return own === null ? [] : [{ own, usual: map.usual }];
    });
    if (fit.length === 0) return [what, name, '', '', '0'];
    const own = meanOf(fit.map(({ own }) => own));
    const change = own - meanOf(fit.map(({ usual }) => usual));
    return [what, name, (own + frame).toFixed(1), signed(change), String(fit.length)];
  });
  const written = meanOf(files.map(({ length }) => length));
  const packed = meanOf(
    maps.map((map) => {
      const data = map.symbols.slice();
      positionsOf(map).forEach((p) => {
        map.sorted.forEach((c, k) => {
          data[p * map.channels + k] = map.symbols[p * map.channels + c];
        });
      });
      const latents = latentsFromSymbols(data, map.height, map.width, map.channels);
      return packLatentsPng(latents, { modelId: '00000000', rate }).length;
    }),
  );
  const inChunk = meanOf(maps.map(({ usual }) => usual)) + PNG_FRAME + VERSION_1_CHUNK;
  rows.push(
    ['file', 'as it is written', written.toFixed(1), '', String(maps.length)],
    ['file', 'channels sorted by scale', packed.toFixed(1), signed(packed - written), String(maps.length)],
    ['file', 'version 1: header in a chunk', inChunk.toFixed(1), signed(inChunk - written), String(maps.length)],
  );
  return markdownTable({
    title: `Rate ${rate}: other ways to write the same symbols`,
    columns: ['What', 'Way', 'Bytes', 'Change', 'Faces'],
    rows,
    note: 'Bytes are of the whole file. The change is against one row by channel without a filter, by our deflate, and for whole files against the file as it is written.',
  });
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
}
