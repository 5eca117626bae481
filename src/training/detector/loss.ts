import { add, mul, sub } from '../../ops/binary.js';
import { slice } from '../../ops/layout.js';
import { sum } from '../../ops/reduce.js';
import { abs, affine, clamp, log, sigmoid, square } from '../../ops/unary.js';
import type { Tensor } from '../../tensor/tensor.js';

/** Targets of a batch on the GPU: [N,cells,1] for scores, [N,cells,14] for boxes and landmarks; see `CellTargets`. */
export interface TargetTensors {
  positive: Tensor;
  negative: Tensor;
  place: Tensor;
  scale: Tensor;
  weight: Tensor;
}

/** Keeps logarithms finite, where a score is 0 or 1 in float32. */
const EPSILON = 1e-7;
/** Errors below this value count by their square, larger ones linearly; relative to the face, and to the distance of its eyes. */
const SMOOTH = 0.06;

/**
 * The loss of a detector's values [N,cells,15], each part a sum over the cells.
 *
 * Scores: focal loss with γ = 2, Lin et al. 2017, arXiv 1708.02002, eq. 4. Boxes and landmarks: smooth L1, Girshick 2015,
 * arXiv 1504.08083, eq. 3, of differences times `scale`.
 */
export function detectorLoss(values: Tensor, targets: TargetTensors): { scores: Tensor; places: Tensor } {
  const [batch, cells, all] = values.shape;
  const face = sigmoid(slice(values, [0, 0, 0], [batch, cells, 1]));
  const none = affine(face, -1, 1);
  const missed = mul(mul(square(none), log(affine(face, 1, EPSILON))), targets.positive);
  const invented = mul(mul(square(face), log(affine(none, 1, EPSILON))), targets.negative);
  const scores = affine(sum(add(missed, invented)), -1);
  const places = slice(values, [0, 0, 1], [batch, cells, all - 1]);
  const errors = smoothL1(sub(mul(places, targets.scale), targets.place));
  return { scores, places: sum(mul(errors, targets.weight)) };
}

/** x²/(2β) up to |x| = β, and |x| − β/2 from there. */
export function smoothL1(x: Tensor): Tensor {
  const size = abs(x);
  const near = clamp(size, 0, SMOOTH);
  return add(affine(square(near), 0.5 / SMOOTH), sub(size, near));
}
