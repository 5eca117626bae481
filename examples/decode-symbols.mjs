// Reads faces without Cameo, from docs/bitstream.md alone: node decode-symbols.mjs WEIGHTS.safetensors FILE.cameo
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';

const clamp = (x, low, high) => (x < low ? low : x > high ? high : x);
const mod = (a, b) => ((a % b) + b) % b;
const refuse = (why) => {
  throw new Error(why);
};

/** CRC-32 of bytes, going on from an earlier one. */
export function crc32(bytes, previous = 0) {
  let crc = ~previous;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const bytesOf = (integers) => new Uint8Array(Int32Array.from(integers).buffer);
const little = (value, count) => Uint8Array.from({ length: count }, (_, k) => (value >>> (8 * k)) & 255);
const viewOf = ({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength);

/** Tensors of a safetensors file, by name: { shape, data }. */
export function readSafetensors(bytes) {
  const length = Number(viewOf(bytes).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const half = (h) => {
    const [exponent, fraction] = [(h >> 10) & 31, h & 1023];
    const size = exponent === 0 ? fraction / 2 ** 24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    return h >> 15 ? -size : size;
  };
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => {
          const { buffer } = new Uint8Array(bytes.subarray(8 + length + begin, 8 + length + end));
          const data = dtype === 'F32' ? new Float32Array(buffer) : Float32Array.from(new Uint16Array(buffer), half);
          return [name, { shape, data }];
        },
      ),
  );
}

/** Tables in the order in which the id of a model counts them. */
const NAMES =
  'gain unit order mean scale shapeClass referenceCount references weights predictionGain scaleShift contextWeights contextPrior contextTable magnitudeWeight magnitudeExpected shapes deadZone'.split(
    ' ',
  );

/**
 * The tables of a weights file, and the id of the model.
 * @param other tables to take in place of those of the file
 */
export function readModel(bytes, other = {}) {
  const tensors = readSafetensors(bytes);
  const bound = tensors.has('latents.dimensions');
  const prefix = bound ? 'latents.' : '';
  const [height, width, channels, steps] = tensors.get(`${prefix}dimensions`).data;
  const model = { height, width, channels, steps, positions: height * width };
  for (const name of NAMES) model[name] = other[name] ?? tensors.get(prefix + name)?.data ?? new Float32Array(2 * 96);
  model.quantizers = model.deadZone.length === 384 ? 2 : 1;
  model.firstReference = [0];
  for (const count of model.referenceCount) model.firstReference.push(model.firstReference.at(-1) + count);

  const plain = model.quantizers === 1 && model.deadZone.every((border) => border === 0);
  model.id = crc32(bytesOf([height, width, channels, steps]));
  for (const name of NAMES) if (!(plain && name === 'deadZone')) model.id = crc32(bytesOf(model[name]), model.id);
  if (bound) model.id = crc32(little(crc32(networkFile(tensors)), 4), model.id);
  return model;
}

/** The network's tensors as the file whose CRC binds the tables to them. */
function networkFile(tensors) {
  const own = [...tensors].filter(([name]) => !name.startsWith('latents.') && name !== 'latentOrder');
  own.sort(([a], [b]) => (a < b ? -1 : 1));
  let end = 0;
  const members = own.map(([name, { shape, data }]) => {
    const offsets = [end, (end += 4 * data.length)];
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: 'F32', shape, data_offsets: offsets })}`;
  });
  const header = `{${members.join(',')}}`;
  const size = Math.ceil(header.length / 8) * 8;
  const file = new Uint8Array(8 + size + end);
  file.set(little(size, 4));
  file.set(new TextEncoder().encode(header.padEnd(size)), 8);
  let at = 8 + size;
  for (const [, { data }] of own) {
    file.set(new Uint8Array(data.buffer), at);
    at += 4 * data.length;
  }
  return file;
}

class RangeDecoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.range = 0xffffffff;
    this.code = 0;
    this.taken = 0;
    for (let k = 0; k < 4; k++) this.code = 256 * this.code + this.next();
    if (this.code === 0xffffffff) refuse('the code begins with four bytes 255');
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
      this.code = 256 * this.code + this.next();
    }
  }

  bit() {
    const bit = this.target() >= 32768 ? 1 : 0;
    this.take(32768 * bit, 32768);
    return bit;
  }

  golomb(order) {
    let length = order + 1;
    while (this.bit() === 1) if (++length > 18) refuse('a number of more than 18 bits');
    let value = 1;
    for (let k = 1; k < length; k++) value = 2 * value + this.bit();
    return value - 2 ** order;
  }

  /** Refuses what is not the shortest code of its symbols. */
  finish() {
    if (this.bytes.length > this.taken) refuse('bytes behind the code');
    if (this.bytes.at(-1) === 0) refuse('the code ends with a byte 0');
    let v = 0;
    for (let k = this.taken - 4; k < this.taken; k++) v = 256 * v + (this.bytes[k] ?? 0);
    const low = mod(v - this.code, 2 ** 32);
    let simplest = low;
    for (let unit = 2; unit <= 2 ** 32; unit *= 2) {
      const multiple = Math.ceil(low / unit) * unit;
      if (multiple > low + this.range - 1) break;
      simplest = multiple;
    }
    if (simplest % 2 ** 32 !== v) refuse('the last bytes are not the shortest');
  }
}

const M = [16384, 17867, 19484, 21247, 23170, 25268, 27554, 30048];
const pow8 = (e) => M[mod(e, 8)] * 2 ** (Math.floor(e / 8) - 14);

function decodeSymbol(coder, model, { scale, mean, shape, inner, outer }) {
  const reach = clamp(Math.ceil(10 * pow8(scale - 32)) + 1, 2, 1024);
  const entries = Math.floor(4 * 65536 * pow8(32 - scale) + 0.5);
  const centre = Math.floor((mean + 8) / 16);
  const border = (symbol) => {
    const middle = 16 * symbol - 8;
    if (symbol > 0) return middle + (symbol === 1 ? inner : outer);
    return middle - (symbol === 0 ? inner : outer);
  };
  const tail = (x) => {
    const at = x * entries;
    const i = Math.floor(at / 65536);
    const row = 1024 * shape;
    if (i >= 1023) return model.shapes[row + 1023];
    const here = model.shapes[row + i];
    return here - Math.floor(((here - model.shapes[row + i + 1]) * (at - 65536 * i)) / 65536);
  };
  const below = (d) => {
    if (d <= -reach) return 0;
    if (d > reach) return 65536;
    const edge = border(centre + d) - mean;
    const t = tail(Math.abs(edge));
    const mass = edge < 0 ? t : 1048576 - t;
    return Math.floor((mass * (65536 - 2 * reach - 1)) / 1048576) + d + reach;
  };
  const target = coder.target();
  let [d, end] = [-reach, reach + 1]; // below(d) ≤ target < below(end)
  while (end - d > 1) {
    const middle = Math.floor((d + end) / 2);
    if (below(middle) <= target) d = middle;
    else end = middle;
  }
  coder.take(below(d), below(d + 1) - below(d));
  const more = Math.abs(d) === reach ? coder.golomb(clamp(Math.floor((scale - 32) / 8), 0, 7)) : 0;
  const symbol = centre + (d < 0 ? d - more : d + more);
  return Math.abs(symbol) > 32767 ? refuse(`a symbol of ${symbol}`) : symbol;
}

const L = [
  0, 1, 2, 2, 3, 4, 4, 5, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 11, 12, 12, 13, 13, 14, 14, 14, 15, 15, 15, 16,
];
function log16(v) {
  const e = 31 - Math.clz32(v);
  return 16 * e + L[Math.floor((32 * v) / 2 ** e) % 32];
}

/** Magnitudes that were found before position p of this channel. */
function beside(a, p, width) {
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

/** The sum over the neighbours of each position. */
function around(a, { height, width }) {
  return a.map((own, p) => {
    const [x, y] = [p % width, Math.floor(p / width)];
    let sum = -own;
    for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
      for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) sum += a[v * width + u];
    }
    return sum;
  });
}

const NEXT = [0, 2, 2, 0, 1, 3, 3, 1];

/** Symbols [height, width, channels] of a code at quantization index q. */
export function decodeCode(code, q, model) {
  const { positions, width, channels, contextPrior: prior } = model;
  const coder = new RangeDecoder(code);
  const symbols = new Int16Array(positions * channels);
  const value = new Float64Array(positions * channels);
  const zeros = () => new Array(positions).fill(0);
  const all = { found: 0, expected: 0 };
  const here = { found: zeros(), expected: zeros() };
  let state = 0;
  for (let rank = 0; rank < channels; rank++) {
    const c = model.order[rank];
    const power = model.gain[q * channels + c] - model.unit[c];
    const own = { found: zeros(), expected: zeros() };
    const near = { found: around(here.found, model), expected: around(here.expected, model) };
    for (let p = 0; p < positions; p++) {
      const latent = rank * positions + p;
      let sum = 0;
      for (let r = model.firstReference[latent]; r < model.firstReference[latent + 1]; r++) {
        sum += model.weights[r] * value[model.references[r]];
      }
      const trusted = Math.floor((model.predictionGain[q * channels + c] * sum) / 262144);
      const units = clamp(model.mean[latent] + trusted, -4194304, 4194304);
      const mean = clamp(Math.floor(units * 16 * pow8(power) + 0.5), -32768, 32768);
      const base = clamp(model.scale[latent] + power + model.scaleShift[q * channels + c] + 32, 0, 95);

      const above = (k, found, expected) => log16(prior[k] + found) - log16(prior[k] + expected);
      const sources = [
        above(0, beside(own.found, p, width), beside(own.expected, p, width)),
        above(1, here.found[p], here.expected[p]),
        above(2, near.found[p], near.expected[p]),
        above(3, all.found, all.expected),
      ];
      const context = sources.reduce((total, source, k) => total + model.contextWeights[4 * c + k] * source, 0);
      const bucket = clamp(Math.floor(context / 128 + 0.5) + 24, 0, 48);
      const scale = clamp(base + model.contextTable[49 * Math.floor(base / 8) + bucket], 0, 95);

      const band = scale < 16 ? 0 : scale < 28 ? 1 : scale < 44 ? 2 : 3;
      const shape = 4 * model.shapeClass[latent] + band;
      const Q = Math.floor(state / 2);
      const [inner, outer] = [0, 1].map((k) => model.deadZone[(2 * Q + k) * 96 + base]);
      const symbol = decodeSymbol(coder, model, { scale, mean, shape, inner, outer });
      symbols[p * channels + c] = symbol;

      const point = 2 * symbol - (Q === 1 ? Math.sign(symbol) : 0);
      if (model.quantizers === 2) state = NEXT[2 * state + mod(symbol, 2)];
      const middle = 8 * point;
      const taken = Math.floor((clamp(mean, middle - 3, middle + 3) * pow8(-power)) / 16 + 0.5);
      value[latent] = clamp(taken, -4194304, 4194304) - model.mean[latent];
      own.found[p] = Math.min(8192, Math.floor((Math.abs(middle - mean) * model.magnitudeWeight[base]) / 256));
      own.expected[p] = model.magnitudeExpected[(Q * 96 + base) * 9 + Math.abs(mod(mean + 8, 16) - 8)];
    }
    for (const kind of ['found', 'expected']) {
      own[kind].forEach((magnitude, p) => {
        here[kind][p] += magnitude - Math.floor(here[kind][p] / 16);
        all[kind] += magnitude;
      });
    }
  }
  coder.finish();
  return symbols;
}

/** The checksum over some bytes, the model's id and the symbols. */
function checksum(bytes, symbols, model) {
  return crc32(new Uint8Array(symbols.buffer), crc32(little(model.id, 4), crc32(bytes)));
}

function readFaceByte(byte, { steps }) {
  if (byte & 64 || (byte & 63) >= steps) refuse(`a face byte of ${byte}`);
  return { qIndex: byte & 63, grey: byte > 127 };
}

/** A face of a `.cameo` or `.cameo.bare` file: { qIndex, grey, symbols }. */
export function decodeFace(bytes, model) {
  const view = viewOf(bytes);
  const bare = bytes[0] === 0x10;
  if (!bare && view.getUint32(0) !== 0x9e434d46) refuse('not a face');
  if (!bare && bytes[4] !== 1) refuse(`version ${bytes[4]}`);
  const [faceAt, checked, codeAt] = bare ? [1, 4, 6] : [5, 10, 14];
  if (bare ? view.getUint16(2, true) !== model.id % 65536 : view.getUint32(6, true) !== model.id) {
    refuse('a face of another model');
  }
  const face = readFaceByte(bytes[faceAt], model);
  const symbols = decodeCode(bytes.subarray(codeAt), face.qIndex, model);
  const sum = checksum(bytes.subarray(0, checked), symbols, model);
  if (bare ? view.getUint16(4, true) !== sum % 65536 : view.getUint32(10, true) !== sum)
    refuse('the checksum is wrong');
  return { ...face, symbols };
}

/** The faces of an archive: { name, qIndex, grey, symbols } each. */
export function decodeArchive(bytes, model) {
  const view = viewOf(bytes);
  if (view.getUint32(0) !== 0x9e434d41 || bytes[4] !== 1 || bytes[5] > 1) refuse('not an archive');
  if (view.getUint32(6, true) !== model.id) refuse('an archive of another model');
  if (view.getUint32(18, true) !== crc32(bytes.subarray(0, 18))) refuse('the checksum of the header is wrong');
  const [count, nameBytes] = [view.getUint32(10, true), view.getUint32(14, true)];
  const entryBytes = bytes[5] === 1 ? 13 : 7;
  const namesAt = 22 + count * entryBytes;
  const codesAt = namesAt + nameBytes;
  let [codeEnd, nameEnd] = [0, 0];
  return Array.from({ length: count }, (_, k) => {
    const entry = 22 + k * entryBytes;
    const code = bytes.subarray(codesAt + codeEnd, codesAt + (codeEnd = view.getUint32(entry, true)));
    const face = readFaceByte(bytes[entry + 4], model);
    const symbols = decodeCode(code, face.qIndex, model);
    const sum = checksum([...little(k, 4), bytes[entry + 4]], symbols, model);
    if (view.getUint16(entry + 5, true) !== sum % 65536) refuse(`face ${k}: the checksum is wrong`);
    if (entryBytes === 7) return { ...face, symbols };
    const name = bytes.subarray(namesAt + nameEnd, namesAt + (nameEnd = view.getUint32(entry + 7, true)));
    if (view.getUint16(entry + 11, true) !== crc32([...little(k, 4), ...name]) % 65536) refuse(`face ${k}: its name`);
    return { name: new TextDecoder().decode(name), ...face, symbols };
  });
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [weights, path] = process.argv.slice(2);
  const model = readModel(await readFile(weights));
  const bytes = new Uint8Array(await readFile(path));
  for (const { symbols, ...face } of bytes[3] === 0x41 ? decodeArchive(bytes, model) : [decodeFace(bytes, model)]) {
    console.log(JSON.stringify({ ...face, symbols: [...symbols] }));
  }
}
