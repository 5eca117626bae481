import type { FaceLandmarks, Point } from '../../common/face-landmarks.js';
import { CounterRandom } from '../../common/random.js';
import { FACE_HEIGHT, FACE_WIDTH, invertSimilarity, type Similarity } from '../../detection/align.js';

const middle = ([ax, ay]: Point, [bx, by]: Point): Point => [(ax + bx) / 2, (ay + by) / 2];

/**
 * By how many degrees a face is turned to the side, 0 to 90, from its five points.
 *
 * The model: the mouth lies straight below the eyes, and the tip of the nose is as far in front of both as an eye is from the
 * middle between the eyes (some 3 cm). Seen from afar, a turn by ψ moves the nose away from the line from the eyes' middle to
 * the mouth's by n = d·sin ψ, and leaves h = d·cos ψ of half the distance between the eyes, across that line. So ψ = atan(n / h).
 * Nodding and tilting of the head change neither.
 */
export function turnOf([leftEye, rightEye, nose, leftMouth, rightMouth]: FaceLandmarks): number {
  const eyes = middle(leftEye, rightEye);
  const mouth = middle(leftMouth, rightMouth);
  const length = Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1]);
  /** Across the line from the eyes to the mouth. */
  const across = (from: Point, to: Point): number =>
    ((to[0] - from[0]) * (mouth[1] - eyes[1]) - (to[1] - from[1]) * (mouth[0] - eyes[0])) / length;
  const n = Math.abs(across(eyes, nose));
  return (Math.atan2(n, Math.max(0, across(leftEye, rightEye) / 2)) * 180) / Math.PI;
}

/** Distance between the eyes, in pixels of the picture. */
export const eyeDistance = ([left, right]: FaceLandmarks): number => Math.hypot(right[0] - left[0], right[1] - left[1]);

/**
 * For each pixel of an aligned face of 96×112, whether its centre lies outside of the picture it was cut from: 1 or 0.
 * @param transform from the picture's pixels to the face's
 */
export function outsideOf(transform: Similarity, { width, height }: { width: number; height: number }): Uint8Array {
  return Uint8Array.from({ length: FACE_WIDTH * FACE_HEIGHT }, (_, at) => {
    const [x, y] = invertSimilarity(transform, [at % FACE_WIDTH, Math.floor(at / FACE_WIDTH)]);
    return x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5 ? 1 : 0;
  });
}

/** Share of the pixels that are outside. */
export const shareOf = (outside: Uint8Array): number => outside.reduce((sum, one) => sum + one, 0) / outside.length;

/** The face with black outside of the picture; itself if all of it is inside. */
export function blackened(face: Uint8Array, outside: Uint8Array): Uint8Array {
  return outside.includes(1) ? face.map((value, i) => (outside[Math.floor(i / 3)] ? 0 : value)) : face;
}

/** What faces are told apart by. The last bin of a list has no upper limit. */
export const FACE_BINS = {
  turn: { title: 'Turn', limits: [15, 30, 45, 60], names: ['0–15°', '15–30°', '30–45°', '45–60°', '60–90°'] },
  border: { title: 'Outside', limits: [1e-9, 0.05, 0.2], names: ['nothing', 'up to 5 %', '5–20 %', 'above 20 %'] },
  eyes: { title: 'Eyes', limits: [25, 35, 45], names: ['below 25 px', '25–35 px', '35–45 px', 'above 45 px'] },
} as const;

export type FaceBin = keyof typeof FACE_BINS;

/** Number of the bin that a value falls into; a limit belongs to the bin above it. */
export function binOf(kind: FaceBin, value: number): number {
  const { limits } = FACE_BINS[kind];
  return limits.filter((limit) => value >= limit).length;
}

/**
 * Draws `count` of the items: from each group in turn, in an order by the seed, until a group is empty.
 * @returns in the items' order
 */
export function drawEvenly<T>(items: readonly T[], groupOf: (item: T) => string, count: number, seed: number): T[] {
  const random = new CounterRandom(seed, 0xb1);
  const groups = new Map<string, { item: T; key: number }[]>();
  for (const item of items) {
    const group = groupOf(item);
    groups.set(group, [...(groups.get(group) ?? []), { item, key: random.uniform() }]);
  }
  const queues = [...groups.keys()].sort().map((group) => groups.get(group)!.sort((a, b) => a.key - b.key));
  const drawn = new Set<T>();
  for (let round = 0; drawn.size < Math.min(count, items.length); round++) {
    for (const queue of queues) if (round < queue.length && drawn.size < count) drawn.add(queue[round].item);
  }
  return items.filter((item) => drawn.has(item));
}

/** PSNR in dB over the pixels inside of the picture; NaN if there is none. */
export function psnrInside(a: Uint8Array, b: Uint8Array, outside: Uint8Array): number {
  let [sum, samples] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    if (outside[Math.floor(i / 3)]) continue;
    sum += (a[i] - b[i]) ** 2;
    samples++;
  }
  return samples === 0 ? Number.NaN : 10 * Math.log10((255 * 255 * samples) / sum);
}
