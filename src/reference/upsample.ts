import type { OpAttrs } from '../common/op-attrs.js';
import type { Shape } from '../common/shapes.js';
import { type NdArray, zeros } from './ndarray.js';
import type { ReferenceRule } from './reference-op.js';

/** Along one axis: for each output position, the two input positions it mixes and the weight of the second. */
interface Taps {
  low: Int32Array;
  high: Int32Array;
  weight: Float64Array;
}

function nearestTaps(size: number, outputs: number): Taps {
  const low = Int32Array.from({ length: outputs }, (_, i) => Math.floor(i / (outputs / size)));
  return { low, high: low, weight: new Float64Array(outputs) };
}

function bilinearTaps(size: number, outputs: number): Taps {
  const taps = { low: new Int32Array(outputs), high: new Int32Array(outputs), weight: new Float64Array(outputs) };
  for (let i = 0; i < outputs; i++) {
    const centre = Math.min(Math.max(((i + 0.5) * size) / outputs - 0.5, 0), size - 1);
    taps.low[i] = Math.floor(centre);
    taps.high[i] = Math.min(taps.low[i] + 1, size - 1);
    taps.weight[i] = centre - taps.low[i];
  }
  return taps;
}

type Visit = (output: number, at: number, weight: number) => void;

/** Calls `visit` for every pair of an output pixel and an input pixel it reads: where their channels start, and the weight. */
function forEachTap(input: Shape, output: Shape, rows: Taps, columns: Taps, visit: Visit): void {
  const [batch, h, w, channels] = input;
  const [, ho, wo] = output;
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < ho; oy++) {
      for (let ox = 0; ox < wo; ox++) {
        const out = ((n * ho + oy) * wo + ox) * channels;
        for (const [y, wy] of [
          [rows.low[oy], 1 - rows.weight[oy]],
          [rows.high[oy], rows.weight[oy]],
        ]) {
          if (wy === 0) continue;
          for (const [x, wx] of [
            [columns.low[ox], 1 - columns.weight[ox]],
            [columns.high[ox], columns.weight[ox]],
          ]) {
            if (wx !== 0) visit(out, ((n * h + y) * w + x) * channels, wy * wx);
          }
        }
      }
    }
  }
}

function upsample<A>(taps: (size: number, outputs: number) => Taps): ReferenceRule<A> {
  const visitAll = (x: NdArray, output: Shape, visit: Visit): void => {
    forEachTap(x.shape, output, taps(x.shape[1], output[1]), taps(x.shape[2], output[2]), visit);
  };
  return {
    forward([x], _attrs, shape) {
      const out = zeros(shape);
      visitAll(x, shape, (i, at, weight) => {
        for (let c = 0; c < shape[3]; c++) out.data[i + c] += x.data[at + c] * weight;
      });
      return out;
    },
    backward([x], _output, dy) {
      const dx = zeros(x.shape);
      visitAll(x, dy.shape, (i, at, weight) => {
        for (let c = 0; c < dy.shape[3]; c++) dx.data[at + c] += dy.data[i + c] * weight;
      });
      return [dx];
    },
  };
}

export const upsampleNearest = /* @__PURE__ */ upsample<OpAttrs['upsampleNearest']>(nearestTaps);
export const upsampleBilinear = /* @__PURE__ */ upsample<OpAttrs['upsampleBilinear']>(bilinearTaps);
