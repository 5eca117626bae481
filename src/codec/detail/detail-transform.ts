import { ArgumentError } from '../../common/errors.js';

/*
 * The transform of the detail layer: the difference of two pictures becomes three orthonormal colour planes, and each block of
 * 8×8 samples of a plane its orthonormal cosine transform of type II. So squared errors of coefficients add up to the squared
 * error of the picture.
 */

/** Rows and columns of a block, in pixels. */
export const BLOCK_SIDE = 8;
/** Coefficients of a block. */
export const RANKS: number = BLOCK_SIDE * BLOCK_SIDE;

/** For each rank in coding order, the row frequency and the column frequency: by their sum, then by the row frequency. */
export const FREQUENCIES: readonly (readonly [row: number, column: number])[] = /* @__PURE__ */ (() => {
  const all: [number, number][] = [];
  for (let sum = 0; sum < 2 * BLOCK_SIDE - 1; sum++) {
    for (let row = Math.max(0, sum - BLOCK_SIDE + 1); row <= Math.min(sum, BLOCK_SIDE - 1); row++)
      all.push([row, sum - row]);
  }
  return all;
})();

/** [frequency, sample] */
const COSINES = /* @__PURE__ */ Float64Array.from(
  { length: RANKS },
  (_, k) =>
    Math.sqrt((k < BLOCK_SIDE ? 1 : 2) / BLOCK_SIDE) *
    Math.cos((Math.PI * (2 * (k % BLOCK_SIDE) + 1) * (k >> 3)) / (2 * BLOCK_SIDE)),
);

/** 1/√3, 1/√2 and 1/√6: parts of the colour planes. */
const A = /* @__PURE__ */ Math.sqrt(1 / 3);
const B = /* @__PURE__ */ Math.sqrt(1 / 2);
const C = /* @__PURE__ */ Math.sqrt(1 / 6);

/** Blocks of a picture. @throws ArgumentError for a size that is no multiple of a block */
export function blockGrid(height: number, width: number): { rows: number; columns: number; blocks: number } {
  const [rows, columns] = [height / BLOCK_SIDE, width / BLOCK_SIDE];
  if (!(Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0)) {
    throw new ArgumentError(`detail of ${height}×${width} pixels; expected multiples of ${BLOCK_SIDE}`);
  }
  return { rows, columns, blocks: rows * columns };
}

/**
 * Coefficients of `original − base`, in levels: [planes, ranks, blocks].
 * @param original RGB, 3 bytes a pixel, as `base`
 * @param planes 1 for grey pictures, else 3
 */
export function detailCoefficients(
  original: Uint8Array,
  base: Uint8Array,
  { height, width }: { height: number; width: number },
  planes: number,
): Float64Array {
  const { columns, blocks } = blockGrid(height, width);
  const all = new Float64Array(planes * RANKS * blocks);
  const samples = new Float64Array(height * width);
  for (let plane = 0; plane < planes; plane++) {
    for (let k = 0; k < samples.length; k++) {
      const red = original[3 * k] - base[3 * k];
      const green = original[3 * k + 1] - base[3 * k + 1];
      const blue = original[3 * k + 2] - base[3 * k + 2];
      if (plane === 0) samples[k] = A * (red + green + blue);
      else samples[k] = plane === 1 ? B * (red - blue) : C * (red - 2 * green + blue);
    }
    for (let block = 0; block < blocks; block++) {
      const corner = Math.floor(block / columns) * BLOCK_SIDE * width + (block % columns) * BLOCK_SIDE;
      const spectrum = transformBlock(samples, corner, width);
      for (let rank = 0; rank < RANKS; rank++) {
        const [row, column] = FREQUENCIES[rank];
        all[(plane * RANKS + rank) * blocks + block] = spectrum[row * BLOCK_SIDE + column];
      }
    }
  }
  return all;
}

function transformBlock(samples: Float64Array, corner: number, width: number): Float64Array {
  const rows = new Float64Array(RANKS);
  const spectrum = new Float64Array(RANKS);
  for (let y = 0; y < BLOCK_SIDE; y++) {
    for (let v = 0; v < BLOCK_SIDE; v++) {
      let sum = 0;
      for (let x = 0; x < BLOCK_SIDE; x++) sum += COSINES[v * BLOCK_SIDE + x] * samples[corner + y * width + x];
      rows[y * BLOCK_SIDE + v] = sum;
    }
  }
  for (let u = 0; u < BLOCK_SIDE; u++) {
    for (let v = 0; v < BLOCK_SIDE; v++) {
      let sum = 0;
      for (let y = 0; y < BLOCK_SIDE; y++) sum += COSINES[u * BLOCK_SIDE + y] * rows[y * BLOCK_SIDE + v];
      spectrum[u * BLOCK_SIDE + v] = sum;
    }
  }
  return spectrum;
}

/**
 * Adds a detail layer to a picture and rounds to levels.
 * @param base RGB, 3 bytes a pixel
 * @param symbols [planes, ranks, blocks]
 * @param step levels of a symbol
 */
export function addDetail(
  base: Uint8Array,
  symbols: ArrayLike<number>,
  step: number,
  { height, width }: { height: number; width: number },
): Uint8Array {
  const { blocks } = blockGrid(height, width);
  const planes = [0, 1, 2].map((plane) => plane * RANKS * blocks < symbols.length);
  const [grey, warm, green] = planes.map((has, plane) =>
    has ? samplesOf(symbols, plane, step, height, width) : new Float64Array(height * width),
  );
  const picture = new Uint8Array(base.length);
  const put = (at: number, value: number): void => {
    const rounded = Math.floor(value + 0.5);
    picture[at] = rounded < 0 ? 0 : rounded > 255 ? 255 : rounded;
  };
  for (let k = 0; k < grey.length; k++) {
    put(3 * k, base[3 * k] + A * grey[k] + B * warm[k] + C * green[k]);
    put(3 * k + 1, base[3 * k + 1] + A * grey[k] - 2 * C * green[k]);
    put(3 * k + 2, base[3 * k + 2] + A * grey[k] - B * warm[k] + C * green[k]);
  }
  return picture;
}

/** One plane, in levels. */
function samplesOf(
  symbols: ArrayLike<number>,
  plane: number,
  step: number,
  height: number,
  width: number,
): Float64Array {
  const { columns, blocks } = blockGrid(height, width);
  const samples = new Float64Array(height * width);
  for (let rank = 0; rank < RANKS; rank++) {
    const [u, v] = FREQUENCIES[rank];
    for (let block = 0; block < blocks; block++) {
      const symbol = symbols[(plane * RANKS + rank) * blocks + block];
      if (symbol === 0) continue;
      const corner = Math.floor(block / columns) * BLOCK_SIDE * width + (block % columns) * BLOCK_SIDE;
      for (let y = 0; y < BLOCK_SIDE; y++) {
        const part = symbol * step * COSINES[u * BLOCK_SIDE + y];
        for (let x = 0; x < BLOCK_SIDE; x++) samples[corner + y * width + x] += part * COSINES[v * BLOCK_SIDE + x];
      }
    }
  }
  return samples;
}
