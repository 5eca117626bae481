import type { MobileFaceNet } from '../models/mobilefacenet.js';
import { add, div, sub } from '../ops/binary.js';
import { mse } from '../ops/mse.js';
import { mean } from '../ops/reduce.js';
import { affine, square } from '../ops/unary.js';
import type { Tensor } from '../tensor/tensor.js';

/** What a network learns from a teacher's maps. */
export interface HintTargets {
  /** The teacher's map after each part. */
  maps: readonly Tensor[];
  /** The mean squared distance of each map's values from the mean of their channel, scalars. */
  variances: readonly Tensor[];
}

/** The maps of a teacher in evaluation mode for faces [N,H,W,3] in [0, 1]. To be called while no tape records. */
export function hintTargets(teacher: Pick<MobileFaceNet, 'maps'>, faces: Tensor): HintTargets {
  const maps = teacher.maps(faces);
  const variances = maps.map((map) => sub(mean(square(map)), mean(square(mean(map, [0, 1, 2])))));
  return { maps, variances };
}

/**
 * The mean over all parts of the mean squared distance between the maps, divided by the variance of the teacher's: 1 for a
 * network that knows no more than the mean of each channel. After Romero et al. 2015, "FitNets: Hints for Thin Deep Nets",
 * arXiv 1412.6550, who use one map.
 */
export function hintDistance(maps: readonly Tensor[], targets: HintTargets): Tensor {
  const distances = maps.map((map, k) => div(mse(map, targets.maps[k]), targets.variances[k]));
  return affine(
    distances.reduce((sum, distance) => add(sum, distance)),
    1 / maps.length,
  );
}
