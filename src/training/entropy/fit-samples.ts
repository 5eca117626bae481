import { powerOfEighths } from '../../codec/entropy/fixed-point.js';
import { MAX_GAIN, MAX_INDICES } from '../../codec/entropy/latent-model.js';
import { ArgumentError, ShapeError } from '../../common/errors.js';

/** Latents of many faces, as the analysis of an autoencoder gives them, before quantization. */
export interface LatentSamples {
  /** [count, height, width, channels] */
  data: Float32Array;
  count: number;
  height: number;
  width: number;
  channels: number;
}

/** The same, prepared for fitting: in units, a row of all faces for each latent in coding order. */
export interface FitSamples {
  count: number;
  height: number;
  width: number;
  channels: number;
  steps: number;
  /** [latents, count] */
  units: Float32Array;
  gain: Int32Array;
  unit: Int32Array;
  order: Int32Array;
}

/** Units in the standard deviation of a channel. */
const UNITS_PER_DEVIATION = 4096;
/** Eighths of an octave: the finest step has at least 2^5 units, the coarsest at most 2^18. */
const FINEST_STEP = 5 * 8;
const COARSEST_STEP = 18 * 8;

/**
 * Chooses units and coding order, and rearranges the latents. Channels with the largest symbols come first, because they
 * predict the others best.
 * @param typical the step at which channels are compared
 */
export function prepareSamples(
  samples: LatentSamples,
  gains: readonly ArrayLike<number>[],
  typical: number,
): FitSamples {
  const { data, count, height, width, channels } = samples;
  const latents = height * width * channels;
  if (count < 2) throw new ArgumentError(`${count} faces to fit a latent model, at least 2 are needed`);
  if (data.length !== count * latents) {
    throw new ShapeError(`${data.length} values are not ${count} faces of ${height}×${width}×${channels} latents`);
  }
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new ArgumentError(`latent ${wrong % latents} of face ${Math.floor(wrong / latents)} is not finite`);
  const gain = flattenGains(gains, channels);
  const deviations = deviationsOf(samples);
  const unit = Int32Array.from(deviations, (deviation, c) => {
    const own = gains.map((row) => row[c]);
    const wanted = deviation > 0 ? 8 * Math.log2(UNITS_PER_DEVIATION / deviation) : Infinity;
    // The bounds may cross for gains of a very wide range; small steps then matter more.
    return Math.max(Math.round(Math.min(wanted, Math.min(...own) + COARSEST_STEP)), Math.max(...own) + FINEST_STEP);
  });
  const size = (c: number): number => deviations[c] * powerOfEighths(gains[typical][c]);
  const order = Int32Array.from({ length: channels }, (_, c) => c).sort((a, b) => size(b) - size(a) || a - b);
  return {
    count,
    height,
    width,
    channels,
    steps: gains.length,
    units: inUnits(samples, unit, order),
    gain,
    unit,
    order,
  };
}

function flattenGains(gains: readonly ArrayLike<number>[], channels: number): Int32Array {
  if (gains.length < 1 || gains.length > MAX_INDICES) {
    throw new ArgumentError(`gains of ${gains.length} quantization indices, must be 1 to ${MAX_INDICES}`);
  }
  const flat = new Int32Array(gains.length * channels);
  gains.forEach((row, qIndex) => {
    if (row.length !== channels) throw new ShapeError(`gains of step ${qIndex} are ${row.length}, must be ${channels}`);
    for (let c = 0; c < channels; c++) {
      if (!Number.isInteger(row[c]) || Math.abs(row[c]) > MAX_GAIN) {
        throw new ArgumentError(`gain[${qIndex}][${c}] is ${row[c]}, must be an integer within ±${MAX_GAIN}`);
      }
      flat[qIndex * channels + c] = row[c];
    }
  });
  return flat;
}

/** Standard deviation of each channel about the means of its positions. */
function deviationsOf({ data, count, height, width, channels }: LatentSamples): Float64Array {
  const latents = height * width * channels;
  const sums = new Float64Array(latents);
  const squares = new Float64Array(latents);
  for (let at = 0; at < data.length; at += latents) {
    for (let i = 0; i < latents; i++) {
      sums[i] += data[at + i];
      squares[i] += data[at + i] ** 2;
    }
  }
  const variances = new Float64Array(channels);
  for (let i = 0; i < latents; i++) {
    variances[i % channels] += Math.max(0, squares[i] / count - (sums[i] / count) ** 2) / (height * width);
  }
  return variances.map(Math.sqrt);
}

function inUnits({ data, count, height, width, channels }: LatentSamples, unit: Int32Array, order: Int32Array) {
  const positions = height * width;
  const units = new Float32Array(data.length);
  for (let rank = 0; rank < channels; rank++) {
    const c = order[rank];
    const factor = powerOfEighths(unit[c]);
    for (let p = 0; p < positions; p++) {
      const to = (rank * positions + p) * count;
      const from = p * channels + c;
      for (let k = 0; k < count; k++) units[to + k] = data[k * positions * channels + from] * factor;
    }
  }
  return units;
}
