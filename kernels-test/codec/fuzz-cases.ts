import { deflateRawSync, deflateSync, inflateSync } from 'node:zlib';
import { crc32 } from '../../src/codec/crc32.js';
import { joinPngChunks, PNG_SIGNATURE, type PngChunk, readPng } from '../../src/codec/png/chunks.js';
import { packLatentsPng } from '../../src/codec/png/container.js';
import { filterCandidates, unfilter } from '../../src/codec/png/filter.js';
import type { CounterRandom } from '../../src/common/random.js';
import { laplacianLatents, uniformLatents } from './container-latents.js';
import { FROZEN_PNGS, type FrozenPng } from './frozen-pngs.js';

/** A valid file to damage, and its content. */
export interface Specimen extends FrozenPng {
  version: 1 | 2;
}

/** One input: its bytes and the expected result. 'either' means that it may be refused or must read like the specimen. */
export interface FuzzCase {
  kind: string;
  bytes: Uint8Array;
  specimen: Specimen;
  expect: 'either' | 'refused' | 'accepted';
}

export function makeSpecimens(): Specimen[] {
  const all = [
    laplacianLatents(1, 7, 6, 24).latents,
    laplacianLatents(2, 14, 12, 8).latents,
    laplacianLatents(3, 7, 6, 64).latents,
    laplacianLatents(4, 5, 3, 2).latents,
    uniformLatents(5, 1, 1, 1),
    uniformLatents(6, 9, 8, 30),
  ];
  const own = all.map((latents, rate): Specimen => {
    const modelId = (0x9e3779b9 * (rate + 1)).toString(16).slice(-8);
    return { file: packLatentsPng(latents, { modelId, rate }), latents, modelId, rate, version: 2 };
  });
  return [...own, ...FROZEN_PNGS.map((frozen): Specimen => ({ ...frozen, version: 1 }))];
}

type Maker = (specimen: Specimen, random: CounterRandom, specimens: readonly Specimen[]) => Uint8Array;

function copyChunks(file: Uint8Array): PngChunk[] {
  return readPng(file).map(({ type, data }) => ({ type, data: data.slice() }));
}

function randomBytes(random: CounterRandom, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.int(256));
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** The chunk of the pixels, in a copy of a sound file's chunks. */
const idatOf = (chunks: readonly PngChunk[]): PngChunk => chunks.find(({ type }) => type === 'IDAT')!;

/** The grey levels of a specimen: its header in version 2, and the symbols channel by channel. */
function pixelsOf({ file, latents: { height, width, channels, data }, version }: Specimen): Uint8Array {
  if (version === 2) {
    const filtered = inflateSync(idatOf(readPng(file)).data);
    return unfilter(filtered, filtered.length - 1, 1);
  }
  const positions = height * width;
  return Uint8Array.from(data, (_, i) => data[(i % positions) * channels + Math.floor(i / positions)]);
}

function setSize(ihdr: PngChunk, width: number, height: number): void {
  const view = new DataView(ihdr.data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
}

/** A file of one row of these pixels, without a filter. */
function rewritten(chunks: PngChunk[], pixels: Uint8Array): Uint8Array {
  setSize(chunks[0], pixels.length, 1);
  idatOf(chunks).data = new Uint8Array(deflateSync(filterCandidates(pixels, pixels.length)[0]));
  return joinPngChunks(chunks);
}

/** A dimension that is extreme, or next to a limit. */
function badDimension(random: CounterRandom): number {
  const picks = [0, 1, 255, 256, 65535, 65536, 65537, 0x7fffffff, 0x80000000, 0xffffffff, random.word()];
  return picks[random.int(picks.length)];
}

/** Deflated zeros that expand about a thousandfold, 1 MB for each kilobyte. They are joined from pieces, to need little memory. */
const megabyteOfZeros = deflateRawSync(new Uint8Array(1 << 20), { finishFlush: 2 });

/** `bytes` with the CRC of every chunk corrected, as far as the chunks can still be found. */
function repairCrcs(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const end = at + 8 + view.getUint32(at);
    if (end + 4 > bytes.length) break;
    view.setUint32(end, crc32(bytes.subarray(at + 4, end)));
    at = end + 4;
  }
  return bytes;
}

/** Ways to damage a file; 'either' where the damage may by chance leave it valid. */
const damage: Record<string, Maker> = {
  bitFlips({ file }, random) {
    const bytes = file.slice();
    for (let k = 1 + random.int(8); k > 0; k--) bytes[random.int(bytes.length)] ^= 1 << random.int(8);
    return bytes;
  },
  byteEditsRepaired({ file }, random) {
    const bytes = file.slice();
    for (let k = 1 + random.int(4); k > 0; k--) bytes[8 + random.int(bytes.length - 8)] = random.int(256);
    return repairCrcs(bytes);
  },
  headerEditsRepaired({ file }, random) {
    const chunks = copyChunks(file);
    const data = chunks[random.int(2)].data;
    for (let k = 1 + random.int(3); k > 0; k--) data[random.int(data.length)] = random.int(256);
    return joinPngChunks(chunks);
  },
  deflateEditsRepaired({ file }, random) {
    const chunks = copyChunks(file);
    const { data } = idatOf(chunks);
    // Most changes are near the beginning, where the codes are.
    const reach = random.int(2) === 0 ? Math.min(data.length, 60) : data.length;
    for (let k = 1 + random.int(6); k > 0; k--) data[random.int(reach)] ^= 1 << random.int(8);
    return joinPngChunks(chunks);
  },
  truncation({ file }, random) {
    return file.slice(0, random.int(file.length));
  },
  truncatedIdat({ file }, random) {
    const chunks = copyChunks(file);
    const idat = idatOf(chunks);
    idat.data = idat.data.slice(0, random.int(idat.data.length));
    return joinPngChunks(chunks);
  },
  splice({ file }, random, specimens) {
    const other = specimens[random.int(specimens.length)].file;
    return concat(file.subarray(0, random.int(file.length)), other.subarray(random.int(other.length)));
  },
  chunksOfTwoFiles({ file }, random, specimens) {
    const mine = copyChunks(file);
    const theirs = copyChunks(specimens[random.int(specimens.length)].file);
    return joinPngChunks(mine.map((chunk, k) => (random.int(2) === 0 ? chunk : (theirs[k] ?? chunk))));
  },
  insertedOrDeletedBytes({ file }, random) {
    const at = random.int(file.length);
    const count = 1 + random.int(20);
    return random.int(2) === 0
      ? concat(file.subarray(0, at), randomBytes(random, count), file.subarray(at))
      : concat(file.subarray(0, at), file.subarray(at + count));
  },
  reorderedOrRepeatedChunks({ file }, random) {
    const chunks = copyChunks(file);
    for (let k = 1 + random.int(3); k > 0; k--) {
      const which = random.int(chunks.length);
      const what = random.int(3);
      if (what === 0 && chunks.length > 1) chunks.splice(which, 1);
      else if (what === 1) chunks.splice(random.int(chunks.length), 0, chunks[which]);
      else random.shuffle(chunks);
    }
    return joinPngChunks(chunks);
  },
};

/** Inputs that no reader may accept. */
const hopeless: Record<string, Maker> = {
  randomBytes(_, random) {
    const bytes = randomBytes(random, random.int(600));
    return random.int(2) === 0 ? bytes : concat(PNG_SIGNATURE, bytes);
  },
  randomIdat({ file }, random) {
    const chunks = copyChunks(file);
    const noise = randomBytes(random, random.int(400));
    idatOf(chunks).data = random.int(2) === 0 ? noise : concat(Uint8Array.of(0x78, 0xda), noise);
    return joinPngChunks(chunks);
  },
  hugeDimensions(specimen, random) {
    const chunks = copyChunks(specimen.file);
    const width = badDimension(random);
    const height = random.int(2) === 0 ? 1 + random.int(4) : badDimension(random);
    setSize(chunks[0], width, width * height === pixelsOf(specimen).length ? height + 1 : height);
    return joinPngChunks(chunks);
  },
  foreignChunk({ file }, random) {
    const chunks = copyChunks(file);
    const types = ['tEXt', 'PLTE', 'tRNS', 'gAMA', 'acTL', 'IDAT', 'cmEO', 'zzZz'];
    chunks.splice(random.int(chunks.length), 0, {
      type: types[random.int(types.length)],
      data: randomBytes(random, random.int(40)),
    });
    return joinPngChunks(chunks);
  },
  declaredLength({ file }, random) {
    const bytes = file.slice();
    const at = [8, 33][random.int(2)];
    new DataView(bytes.buffer).setUint32(at, random.word() | 1024);
    return bytes;
  },
  deflateBomb({ file }, random) {
    const chunks = copyChunks(file);
    const pieces = new Array<Uint8Array>(1 + random.int(58)).fill(megabyteOfZeros);
    idatOf(chunks).data = concat(Uint8Array.of(0x78, 0xda), ...pieces, Uint8Array.of(3, 0), randomBytes(random, 4));
    if (random.int(2) === 0) setSize(chunks[0], 65536, 1);
    return joinPngChunks(chunks);
  },
  tinyChunkFlood({ file }, random) {
    const chunks = copyChunks(file);
    const flood = new Array<PngChunk>(1000 + random.int(4000)).fill({ type: 'zzZz', data: new Uint8Array(0) });
    return joinPngChunks([chunks[0], ...flood, ...chunks.slice(1)]);
  },
  oversized({ file }, random) {
    return concat(file, new Uint8Array(65536 + random.int(100_000)));
  },
  trailingData({ file }, random) {
    return concat(file, randomBytes(random, 1 + random.int(30)));
  },
  dataAfterZlib({ file }, random) {
    const chunks = copyChunks(file);
    const idat = idatOf(chunks);
    idat.data = concat(idat.data, randomBytes(random, 1 + random.int(30)));
    return joinPngChunks(chunks);
  },
  otherPixelsAllElseRepaired(specimen, random) {
    const chunks = copyChunks(specimen.file);
    const pixels = pixelsOf(specimen);
    if (specimen.version === 2) {
      // Only PNG and zlib guard these pixels, so that other symbols would be read: another version is not.
      pixels[0] ^= (1 + random.int(15)) << 4;
    } else {
      // Distinct places, so that no change undoes another.
      for (let k = random.int(3); k >= 0; k--) pixels[3 * random.int(pixels.length / 3) + k] ^= 1 + random.int(255);
    }
    return rewritten(chunks, pixels);
  },
  cutMaps(specimen, random) {
    const pixels = pixelsOf(specimen);
    const { height, width } = specimen.latents;
    const cut = 1 + random.int(Math.max(1, height * width - 1));
    return rewritten(copyChunks(specimen.file), pixels.subarray(0, pixels.length - cut));
  },
  badFilterType(specimen, random) {
    const chunks = copyChunks(specimen.file);
    const pixels = pixelsOf(specimen);
    const filtered = filterCandidates(pixels, pixels.length)[0];
    filtered[0] = 5 + random.int(251);
    setSize(chunks[0], pixels.length, 1);
    idatOf(chunks).data = new Uint8Array(deflateSync(filtered));
    return joinPngChunks(chunks);
  },
};

/** The control: valid files in other encodings. Without them, a reader that refuses everything would pass. */
const sound: Record<string, Maker> = {
  untouched: ({ file }) => file,
  recompressed(specimen, random) {
    const chunks = copyChunks(specimen.file);
    const pixels = pixelsOf(specimen);
    const { height, width: mapWidth, channels } = specimen.latents;
    const widths = [pixels.length, height * mapWidth, mapWidth, channels, 1];
    const width = specimen.version === 2 ? pixels.length : widths[random.int(widths.length)];
    const candidates = filterCandidates(pixels, width);
    setSize(chunks[0], width, pixels.length / width);
    const settings = { level: random.int(10), strategy: random.int(5), windowBits: 9 + random.int(7) };
    idatOf(chunks).data = new Uint8Array(deflateSync(candidates[random.int(candidates.length)], settings));
    return joinPngChunks(chunks);
  },
};

const makers = [
  ...Object.entries(damage).map(([kind, make]) => ({ kind, make, expect: 'either' as const })),
  ...Object.entries(hopeless).map(([kind, make]) => ({ kind, make, expect: 'refused' as const })),
  ...Object.entries(sound).map(([kind, make]) => ({ kind, make, expect: 'accepted' as const })),
];

/** The names of all kinds of cases. */
export const FUZZ_KINDS = makers.map(({ kind }) => kind);

/** Case number `index`: the kinds alternate, and everything else is drawn from `random`. */
export function makeCase(index: number, random: CounterRandom, specimens: readonly Specimen[]): FuzzCase {
  const { kind, make, expect } = makers[index % makers.length];
  const specimen = specimens[random.int(specimens.length)];
  return { kind, bytes: make(specimen, random, specimens), specimen, expect };
}
