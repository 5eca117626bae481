import { ArgumentError, FormatError, ShapeError } from '../../common/errors.js';
import { reconstructionValues } from './dependent.js';
import { type LatentModel, type LatentModelFields, MAX_DEAD_ZONE, MIN_DEAD_ZONE } from './latent-model.js';
import { walkLatents } from './latent-walk.js';
import { RangeDecoder, RangeEncoder } from './range-coder.js';
import { SCALE_COUNT, SHAPE_ENTRIES, SymbolDistribution } from './symbol-distribution.js';

/** Symbols lie within ± this. */
export const MAX_SYMBOL = 32767;

/** Integer symbols in [height, width, channels] order. */
export type Symbols = Int16Array | Int8Array;

/** For each place in coding order, the index in [height, width, channels]. */
export function placesOf({
  height,
  width,
  channels,
  order,
}: Pick<LatentModelFields, 'height' | 'width' | 'channels' | 'order'>): Int32Array {
  const positions = height * width;
  return Int32Array.from(
    { length: positions * channels },
    (_, latent) => (latent % positions) * channels + order[Math.floor(latent / positions)],
  );
}

const places = new WeakMap<LatentModel, Int32Array>();

/** See {@link placesOf}; kept as long as the model. */
export function codingPlaces(model: LatentModel): Int32Array {
  let own = places.get(model);
  if (!own) places.set(model, (own = placesOf(model.fields)));
  return own;
}

/** Where the symbols of a face lie, in steps, in [height, width, channels] order. */
export const valuesOfSymbols = (symbols: Symbols, model: LatentModel): Float32Array =>
  model.quantizers === 1 ? Float32Array.from(symbols) : reconstructionValues(symbols, codingPlaces(model));

/**
 * The shortest code of a face's symbols at quantization index `qIndex`. It is only the code: the reader has to know the model,
 * `qIndex` and the length. The same symbols always give the same bytes.
 * @param more writes what follows the symbols in the same code
 * @throws ShapeError for a wrong number of symbols; ArgumentError for an index that the model does not have
 */
export function encodeLatents(
  symbols: Symbols,
  qIndex: number,
  model: LatentModel,
  more?: (coder: RangeEncoder) => void,
): Uint8Array {
  checkSymbols(symbols, qIndex, model);
  const place = codingPlaces(model);
  const coder = new RangeEncoder();
  const distribution = new SymbolDistribution(model.fields.shapes);
  walkLatents(model, qIndex, {
    code(latent, scale, mean, shape, deadInner, deadOuter) {
      const symbol = symbols[place[latent]];
      distribution.set(scale, mean, shape, deadInner, deadOuter).encode(symbol, coder);
      return symbol;
    },
  });
  more?.(coder);
  return coder.finish();
}

/**
 * Symbols from their code. Most damage cannot be detected here and gives other symbols; so containers add a checksum.
 * @param more reads what follows the symbols in the same code
 * @throws FormatError for bytes that {@link encodeLatents} does not write; ArgumentError for an index that the model does not have
 */
export function decodeLatents(
  bytes: Uint8Array,
  qIndex: number,
  model: LatentModel,
  more?: (coder: RangeDecoder) => void,
): Int16Array {
  model.checkIndex(qIndex);
  const place = codingPlaces(model);
  const coder = new RangeDecoder(bytes);
  const distribution = new SymbolDistribution(model.fields.shapes);
  const symbols = new Int16Array(model.latents);
  walkLatents(model, qIndex, {
    code(latent, scale, mean, shape, deadInner, deadOuter) {
      const symbol = distribution.set(scale, mean, shape, deadInner, deadOuter).decode(coder);
      if (symbol < -MAX_SYMBOL || symbol > MAX_SYMBOL) {
        throw new FormatError(`latent symbol ${symbol} must be within ±${MAX_SYMBOL}`);
      }
      symbols[place[latent]] = symbol;
      return symbol;
    },
  });
  more?.(coder);
  coder.finish();
  return symbols;
}

const DEAD_ZONES = MAX_DEAD_ZONE - MIN_DEAD_ZONE + 1;
const knownZeros = new WeakMap<LatentModel, Float64Array>();

/**
 * The bits of symbol 0 where its mean is 0, as two thirds of the symbols of a small code are: [shapes, scales, inner dead zones],
 * NaN until they are needed. The outer dead zone does not change them.
 */
function bitsOfZeros(model: LatentModel): Float64Array {
  let known = knownZeros.get(model);
  if (!known) {
    const shapes = model.fields.shapes.length / SHAPE_ENTRIES;
    knownZeros.set(model, (known = new Float64Array(shapes * SCALE_COUNT * DEAD_ZONES).fill(NaN)));
  }
  return known;
}

/**
 * Bits that {@link encodeLatents} would take, before rounding to whole bytes, in a fraction of its time.
 * @param bits is filled with the bits of each symbol, in [height, width, channels] order
 */
export function codeLength(symbols: Symbols, model: LatentModel, qIndex: number, bits?: Float64Array): number {
  checkSymbols(symbols, qIndex, model);
  const place = codingPlaces(model);
  const distribution = new SymbolDistribution(model.fields.shapes);
  let total = 0;
  const zeros = bitsOfZeros(model);
  walkLatents(model, qIndex, {
    code(latent, scale, mean, shape, deadInner, deadOuter) {
      const symbol = symbols[place[latent]];
      const kind =
        symbol === 0 && mean === 0 ? (shape * SCALE_COUNT + scale) * DEAD_ZONES + deadInner - MIN_DEAD_ZONE : -1;
      let length = kind < 0 ? NaN : zeros[kind];
      if (Number.isNaN(length)) {
        length = distribution.set(scale, mean, shape, deadInner, deadOuter).bits(symbol);
        if (kind >= 0) zeros[kind] = length;
      }
      total += length;
      if (bits) bits[place[latent]] = length;
      return symbol;
    },
  });
  return total;
}

function checkSymbols(symbols: Symbols, qIndex: number, model: LatentModel): void {
  model.checkIndex(qIndex);
  if (symbols.length !== model.latents) {
    const { height, width, channels } = model.fields;
    throw new ShapeError(`${symbols.length} symbols; this model has ${height}×${width}×${channels}`);
  }
  const wrong = symbols.indexOf(-MAX_SYMBOL - 1);
  if (wrong >= 0) throw new ArgumentError(`latent symbol ${wrong} is ${symbols[wrong]}, must be within ±${MAX_SYMBOL}`);
}
