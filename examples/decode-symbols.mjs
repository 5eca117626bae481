// Reads faces without Cameo: node decode-symbols.mjs WEIGHTS.safetensors FILE.cameo
//
// Written from docs/bitstream.md alone, by someone who had not seen Cameo's code. It decodes the symbols of .cameo,
// .cameo.bare and .cameos files. Weights of 8 bits, and the second id that comes with them, were added later.
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const clamp = (x, low, high) => (x < low ? low : x > high ? high : x);
const mod = (a, b) => ((a % b) + b) % b;
const refuse = (why) => {
  throw new Error(`refused: ${why}`);
};
const need = (condition, why) => {
  if (!condition) refuse(why);
};
/** Refuses a number above 2^53, because larger integers are not exact. */
const exact = (x) => (Math.abs(x) <= Number.MAX_SAFE_INTEGER ? x : refuse(`not exact: ${x}`));

// --- CRC-32 ---

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

function crc32(...parts) {
  let crc = 0xffffffff;
  for (const part of parts) for (const byte of part) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const bufferOf = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);
const u32 = (x) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(x >>> 0);
  return bytes;
};
const int32s = (list) => {
  const bytes = Buffer.alloc(4 * list.length);
  for (let i = 0; i < list.length; i++) bytes.writeInt32LE(list[i], 4 * i);
  return bytes;
};
const int16s = (list) => {
  const bytes = Buffer.alloc(2 * list.length);
  for (let i = 0; i < list.length; i++) bytes.writeInt16LE(list[i], 2 * i);
  return bytes;
};

// --- The weights file ---

const DTYPES = {
  F32: { size: 4, read: (bytes, at) => bytes.readFloatLE(at) },
  F16: { size: 2, read: (bytes, at) => half(bytes.readUInt16LE(at)) },
  I8: { size: 1, read: (bytes, at) => bytes.readInt8(at) },
};

function half(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction / 2 ** 24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits >> 15 ? -size : size;
}

/** The metadata of a safetensors file, and its tensors by name: { shape, data }. */
function readSafetensors(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  const tensors = new Map();
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const { size, read } = DTYPES[tensor.dtype] ?? refuse(`a tensor of ${tensor.dtype}`);
    const [begin, end] = tensor.data_offsets;
    const data = new Float32Array((end - begin) / size);
    for (let i = 0; i < data.length; i++) data[i] = read(bytes, 8 + length + begin + size * i);
    tensors.set(name, { shape: tensor.shape, data });
  }
  const metadata = header.__metadata__ ?? {};
  if ('cameo.int8' in metadata) joinInt8(tensors);
  return { metadata, tensors };
}

/** Replaces the parts of each tensor that is stored in 8 bits per value by the whole tensor. */
function joinInt8(tensors) {
  const parts = [...tensors].filter(([name]) => name.endsWith('.int8'));
  for (const [part, { shape, data }] of parts) {
    const name = part.slice(0, -5);
    const scale = tensors.get(`${name}.scale`).data;
    const half = tensors.get(`${name}.half`);
    const first = half ? half.shape.at(-1) : 0;
    const columns = first + scale.length;
    const whole = new Float32Array((data.length / scale.length) * columns);
    for (let i = 0; i < whole.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      const k = column - first;
      whole[i] = k < 0 ? half.data[row * first + column] : data[row * scale.length + k] * scale[k];
    }
    for (const suffix of ['half', 'int8', 'scale']) tensors.delete(`${name}.${suffix}`);
    tensors.set(name, { shape: [...shape.slice(0, -1), columns], data: whole });
  }
}

/** The tables, in the order in which they enter the id of a model. */
const TABLES = [
  'gain',
  'unit',
  'order',
  'mean',
  'scale',
  'shapeClass',
  'referenceCount',
  'references',
  'weights',
  'predictionGain',
  'scaleShift',
  'contextWeights',
  'contextPrior',
  'contextTable',
  'magnitudeWeight',
  'magnitudeExpected',
  'shapes',
  'deadZone',
];

/**
 * The tables of a weights file, and the ids of the models whose faces it can read, its own id first.
 * @param other tables that replace those of the file
 */
export function readModel(file, other = {}) {
  const { metadata, tensors } = readSafetensors(bufferOf(file));
  const bound = tensors.has('latents.dimensions');
  const table = (name) => tensors.get(bound ? `latents.${name}` : name)?.data;
  const [height, width, channels, steps] = table('dimensions');
  const model = { height, width, channels, steps };
  for (const name of TABLES) model[name] = other[name] ?? table(name) ?? new Array(192).fill(0);
  model.quantizers = model.deadZone.length === 384 ? 2 : 1;
  const plain = model.quantizers === 1 && model.deadZone.every((x) => x === 0);
  const listed = TABLES.filter((name) => !(plain && name === 'deadZone'));
  const integers = [int32s([height, width, channels, steps]), ...listed.map((name) => int32s(model[name]))];
  const networks = [bound ? crc32(networkFile(tensors)) : 0];
  const before = metadata['cameo.quantized-from'];
  if (bound && before !== undefined) networks.push(Number.parseInt(before, 16));
  model.ids = networks.map((network) => crc32(...integers, network === 0 ? [] : u32(network)));
  return model;
}

/** The tensors of the network as a safetensors file, whose CRC is part of the model's id. */
function networkFile(tensors) {
  const networkTensors = [...tensors].filter(([name]) => !name.startsWith('latents.') && name !== 'latentOrder');
  networkTensors.sort(([a], [b]) => (a < b ? -1 : 1));
  let end = 0;
  const members = networkTensors.map(([name, { shape, data }]) => {
    const begin = end;
    end += 4 * data.length;
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: 'F32', shape, data_offsets: [begin, end] })}`;
  });
  const header = `{${members.join(',')}}`;
  const padded = Buffer.from(header.padEnd(Math.ceil(header.length / 8) * 8));
  return Buffer.concat([u32(padded.length), u32(0), padded, ...networkTensors.map(([, { data }]) => bufferOf(data))]);
}

// --- The range decoder ---

class RangeDecoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.taken = 0;
    this.range = 0xffffffff;
    this.code = 0;
    for (let i = 0; i < 4; i++) this.code = this.code * 256 + this.next();
    if (this.code === 0xffffffff) refuse('code begins with ffffffff');
  }
  next() {
    return this.bytes[this.taken++] ?? 0;
  }
  target() {
    this.part = Math.floor(this.range / 65536);
    return Math.min(65535, Math.floor(this.code / this.part));
  }
  take(start, size) {
    this.code -= this.part * start;
    this.range = start + size === 65536 ? this.range - this.part * start : this.part * size;
    while (this.range < 2 ** 24) {
      this.range *= 256;
      this.code = this.code * 256 + this.next();
    }
  }
  bit() {
    const b = this.target() >= 32768 ? 1 : 0;
    this.take(32768 * b, 32768);
    return b;
  }
  golomb(g) {
    let length = g + 1;
    while (this.bit() === 1) if (++length > 18) refuse('golomb code too long');
    let value = 1;
    for (let i = 0; i < length - 1; i++) value = 2 * value + this.bit();
    return value - 2 ** g;
  }
  /** Checks the three rules of the section "The end". */
  end() {
    const { bytes, taken, code, range } = this;
    if (bytes.length > taken) refuse('bytes behind the end');
    if (bytes.length && bytes[bytes.length - 1] === 0) refuse('last byte is 0');
    let v = 0;
    for (let i = taken - 4; i < taken; i++) v = v * 256 + (bytes[i] ?? 0);
    const low = mod(v - code, 2 ** 32);
    for (let power = 2 ** 32; ; power /= 2) {
      const first = Math.ceil(low / power) * power;
      if (first > low + range - 1) continue;
      if (mod(first, 2 ** 32) !== v) refuse('the end is not the simplest');
      return;
    }
  }
}

// --- The distribution of a symbol ---

const M = [16384, 17867, 19484, 21247, 23170, 25268, 27554, 30048];
const pow8 = (e) => M[mod(e, 8)] * 2 ** (Math.floor(e / 8) - 14);
const SCALES = Array.from({ length: 96 }, (_, scale) => scale);
const reach = SCALES.map((scale) => clamp(Math.ceil(10 * pow8(scale - 32)) + 1, 2, 1024));
const entries = SCALES.map((scale) => Math.floor(4 * 65536 * pow8(32 - scale) + 1 / 2));
const golombOrder = SCALES.map((scale) => clamp(Math.floor((scale - 32) / 8), 0, 7));

function decodeSymbol(decoder, shapes, { scale, mean, row, inner, outer }) {
  const centre = Math.floor((mean + 8) / 16);
  const R = reach[scale];
  const border = (symbol) => {
    const middle = 16 * symbol - 8;
    if (symbol === 1) return middle + inner;
    if (symbol > 1) return middle + outer;
    if (symbol === 0) return middle - inner;
    return middle - outer;
  };
  const tail = (x) => {
    const at = exact(x * entries[scale]);
    const i = Math.floor(at / 65536);
    if (i >= 1023) return shapes[row * 1024 + 1023];
    const here = shapes[row * 1024 + i];
    const drop = here - shapes[row * 1024 + i + 1];
    return here - Math.floor(exact(drop * (at - 65536 * i)) / 65536);
  };
  const below = (d) => {
    if (d <= -R) return 0;
    if (d > R) return 65536;
    const edge = border(centre + d) - mean;
    const t = tail(Math.abs(edge));
    const mass = edge < 0 ? t : 1048576 - t;
    return Math.floor(exact(mass * (65536 - 2 * R - 1)) / 1048576) + d + R;
  };
  const target = decoder.target();
  let [low, high] = [-R, R + 1]; // below(low) ≤ target < below(high)
  while (high - low > 1) {
    const d = (low + high) >> 1;
    if (below(d) <= target) low = d;
    else high = d;
  }
  const d = low;
  const start = below(d);
  const size = below(d + 1) - start;
  if (!(size > 0)) refuse('empty interval');
  decoder.take(start, size);
  const more = Math.abs(d) === R ? decoder.golomb(golombOrder[scale]) : 0;
  const symbol = d >= 0 ? centre + d + more : centre + d - more;
  if (Math.abs(symbol) > 32767) refuse('symbol too large');
  return symbol;
}

// --- The symbols of a face ---

const L = [
  0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15, 16,
];
function log16(v) {
  if (!(v >= 1)) refuse(`log16(${v})`);
  let e = 0;
  while (2 ** (e + 1) <= v) e++;
  return 16 * e + L[Math.floor((32 * v) / 2 ** e) % 32];
}
const NEXT = [0, 2, 2, 0, 1, 3, 3, 1];

/** The sum over the eight neighbours of position p. */
function around(a, p, { width, height }) {
  const [x, y] = [p % width, Math.floor(p / width)];
  let sum = 0;
  for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
    for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
      if (u !== x || v !== y) sum += a[v * width + u];
    }
  }
  return sum;
}

/** The weighted sum over positions near p that were decoded before it. */
function beside(a, p, { width }) {
  const x = p % width;
  let sum = x > 0 ? 2 * a[p - 1] : 0;
  if (p >= width) {
    sum += 2 * a[p - width];
    if (x > 0) sum += a[p - width - 1];
    if (x < width - 1) sum += a[p - width + 1];
  }
  const mirror = p - x + (width - 1 - x);
  return mirror < p - 1 ? sum + a[mirror] : sum;
}

/** The column of contextTable: how far the decoded magnitudes are above the expected ones, from four sources. */
function contextBucket({ contextWeights, contextPrior }, c, sources) {
  let weighted = 0;
  sources.forEach(([found, expected], i) => {
    const s = log16(contextPrior[i] + found) - log16(contextPrior[i] + expected);
    weighted += contextWeights[4 * c + i] * s;
  });
  return clamp(Math.floor(weighted / 128 + 1 / 2) + 24, 0, 48);
}

/** The symbols of a code, in the order [height, width, channels]. */
export function decodeCode(bytes, q, model) {
  const { height, width, channels, steps, quantizers } = model;
  if (!(q < steps)) refuse('index of quantization');
  const positions = height * width;
  const symbols = new Int16Array(positions * channels);
  const decoder = new RangeDecoder(bytes);
  const value = [];
  const zeros = () => new Array(positions).fill(0);
  const foundHere = zeros();
  const expectedHere = zeros();
  let [foundAll, expectedAll, state, first] = [0, 0, 0, 0];

  for (let rank = 0; rank < channels; rank++) {
    const c = model.order[rank];
    const at = q * channels + c;
    const power = model.gain[at] - model.unit[c];
    const meansPerUnit = 16 * pow8(power);
    const unitsPerMean = pow8(-power) / 16;
    const foundAround = foundHere.map((_, p) => around(foundHere, p, model));
    const expectedAround = expectedHere.map((_, p) => around(expectedHere, p, model));
    const found = zeros();
    const expected = zeros();

    for (let p = 0; p < positions; p++) {
      const latent = rank * positions + p;
      // 1. The mean
      let sum = 0;
      for (let r = first; r < first + model.referenceCount[latent]; r++) {
        const reference = model.references[r];
        if (!(reference < latent)) refuse('reference to a later latent');
        sum += model.weights[r] * value[reference];
      }
      first += model.referenceCount[latent];
      const units = clamp(
        model.mean[latent] + Math.floor(exact(model.predictionGain[at] * sum) / 262144),
        -4194304,
        4194304,
      );
      const m = clamp(Math.floor(units * meansPerUnit + 1 / 2), -32768, 32768);
      // 2. The scale
      const base = clamp(model.scale[latent] + power + model.scaleShift[at] + 32, 0, 95);
      // 3. The context
      const bucket = contextBucket(model, c, [
        [beside(found, p, model), beside(expected, p, model)],
        [foundHere[p], expectedHere[p]],
        [foundAround[p], expectedAround[p]],
        [foundAll, expectedAll],
      ]);
      const adjusted = clamp(base + model.contextTable[Math.floor(base / 8) * 49 + bucket], 0, 95);
      // 4. The shape and the borders
      const band = adjusted < 16 ? 0 : adjusted < 28 ? 1 : adjusted < 44 ? 2 : 3;
      const Q = quantizers === 2 ? Math.floor(state / 2) : 0;
      const symbol = decodeSymbol(decoder, model.shapes, {
        scale: adjusted,
        mean: m,
        row: 4 * model.shapeClass[latent] + band,
        inner: model.deadZone[Q * 192 + base],
        outer: model.deadZone[Q * 192 + 96 + base],
      });
      symbols[p * channels + c] = symbol;

      // 5. The value of the symbol, in half steps
      const point = Q === 0 || symbol === 0 ? 2 * symbol : symbol > 0 ? 2 * symbol - 1 : 2 * symbol + 1;
      if (quantizers === 2) state = NEXT[2 * state + mod(symbol, 2)];
      // 6. For later predictions
      const middle = 8 * point;
      const v = clamp(m, middle - 3, middle + 3);
      value[latent] = clamp(Math.floor(v * unitsPerMean + 1 / 2), -4194304, 4194304) - model.mean[latent];
      // 7. For later contexts
      found[p] = Math.min(8192, Math.floor((Math.abs(middle - m) * model.magnitudeWeight[base]) / 256));
      expected[p] = model.magnitudeExpected[(Q * 96 + base) * 9 + Math.abs(mod(m + 8, 16) - 8)];
    }
    for (let p = 0; p < positions; p++) {
      foundHere[p] += found[p] - Math.floor(foundHere[p] / 16);
      expectedHere[p] += expected[p] - Math.floor(expectedHere[p] / 16);
      foundAll += found[p];
      expectedAll += expected[p];
    }
  }
  decoder.end();
  return symbols;
}

// --- Containers ---

function faceByte(byte, { steps }) {
  need((byte & 64) === 0, 'bit 6 of the face byte');
  need((byte & 63) < steps, 'index of quantization');
  return { qIndex: byte & 63, grey: byte >= 128 };
}

const checksum = (id, symbols, ...bytes) => crc32(...bytes, u32(id), int16s(symbols));

const modelOf = ({ ids }, isOwn) => ids.find(isOwn) ?? refuse('another model');

/** A face of a `.cameo` or `.cameo.bare` file: { qIndex, grey, symbols }. */
export function decodeFace(file, model) {
  const bytes = bufferOf(file);
  return bytes[0] === 0x10 ? readBare(bytes, model) : readFaceFile(bytes, model);
}

function readFaceFile(bytes, model) {
  need(bytes.length >= 14 && bytes.toString('latin1', 0, 4) === '\x9eCMF', 'not a face');
  need(bytes[4] === 1, 'version');
  const face = faceByte(bytes[5], model);
  const id = modelOf(model, (id) => id === bytes.readUInt32LE(6));
  need(bytes.length - 14 <= 65535, 'code too long');
  const symbols = decodeCode(bytes.subarray(14), face.qIndex, model);
  need(bytes.readUInt32LE(10) === checksum(id, symbols, bytes.subarray(0, 10)), 'checksum');
  return { ...face, symbols };
}

function readBare(bytes, model) {
  need(bytes.length >= 6, 'short');
  const face = faceByte(bytes[1], model);
  const id = modelOf(model, (id) => (id & 65535) === bytes.readUInt16LE(2));
  need(bytes.length - 6 <= 65535, 'code too long');
  const symbols = decodeCode(bytes.subarray(6), face.qIndex, model);
  need(bytes.readUInt16LE(4) === (checksum(id, symbols, bytes.subarray(0, 4)) & 65535), 'checksum');
  return { ...face, symbols };
}

/** The faces of an archive: { name, qIndex, grey, symbols } each. */
export function decodeArchive(file, model) {
  const bytes = bufferOf(file);
  need(bytes.length >= 22 && bytes.toString('latin1', 0, 4) === '\x9eCMA', 'not an archive');
  need(bytes[4] === 1, 'version');
  need(bytes[5] <= 1, 'names');
  need(bytes.readUInt32LE(18) === crc32(bytes.subarray(0, 18)), 'CRC of the header');
  const id = modelOf(model, (id) => id === bytes.readUInt32LE(6));
  const [count, nameBytes] = [bytes.readUInt32LE(10), bytes.readUInt32LE(14)];
  const entry = bytes[5] ? 13 : 7;
  const names = 22 + count * entry;
  const codes = names + nameBytes;
  need(bytes.length >= codes, 'short');
  const faces = [];
  let code = 0;
  let name = 0;
  for (let k = 0; k < count; k++) {
    const at = 22 + k * entry;
    const codeEnd = bytes.readUInt32LE(at);
    need(codeEnd >= code && codeEnd - code <= 65535 && codes + codeEnd <= bytes.length, 'end of a code');
    const face = faceByte(bytes[at + 4], model);
    const symbols = decodeCode(bytes.subarray(codes + code, codes + codeEnd), face.qIndex, model);
    const sum = checksum(id, symbols, u32(k), bytes.subarray(at + 4, at + 5));
    need(bytes.readUInt16LE(at + 5) === (sum & 65535), 'checksum');
    code = codeEnd;
    if (entry === 7) {
      faces.push({ ...face, symbols });
      continue;
    }
    const nameEnd = bytes.readUInt32LE(at + 7);
    need(nameEnd >= name && nameEnd - name <= 4096 && nameEnd <= nameBytes, 'end of a name');
    const text = bytes.subarray(names + name, names + nameEnd);
    need(bytes.readUInt16LE(at + 11) === (crc32(u32(k), text) & 65535), 'CRC of a name');
    faces.push({ name: new TextDecoder('utf-8', { fatal: true }).decode(text), ...face, symbols });
    name = nameEnd;
  }
  need(codes + code === bytes.length && name === nameBytes, 'bytes behind the last face');
  return faces;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [weights, path] = process.argv.slice(2);
  const model = readModel(await readFile(weights));
  const bytes = await readFile(path);
  for (const { symbols, ...face } of bytes[3] === 0x41 ? decodeArchive(bytes, model) : [decodeFace(bytes, model)]) {
    console.log(JSON.stringify({ ...face, symbols: [...symbols] }));
  }
}
