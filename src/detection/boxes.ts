/** A box in pixels; the picture's border lies at 0, and the centre of its first pixel at 0.5. */
export interface FaceBox {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A box that may hold a face. */
export interface Candidate extends FaceBox {
  /** The probability of a face, as the network that saw it last says. */
  readonly score: number;
}

const areaOf = ({ left, top, right, bottom }: FaceBox): number => Math.max(0, right - left) * Math.max(0, bottom - top);

/**
 * The common area of two boxes over that of both together (`union`, the Jaccard index) or over the smaller one (`min`).
 * @returns 0 to 1
 */
export function overlap(a: FaceBox, b: FaceBox, over: 'union' | 'min' = 'union'): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const common = width * height;
  const [areaA, areaB] = [areaOf(a), areaOf(b)];
  return common / (over === 'union' ? areaA + areaB - common : Math.min(areaA, areaB));
}

/**
 * Greedy non-maximum suppression: the best candidate stays, what overlaps it by more than `limit` goes, and so on.
 * @returns the candidates that stay, the best first
 */
export function suppressOverlaps<C extends Candidate>(
  candidates: readonly C[],
  limit: number,
  over: 'union' | 'min' = 'union',
): C[] {
  const kept: C[] = [];
  for (const candidate of bestFirst(candidates)) {
    if (kept.every((better) => overlap(candidate, better, over) <= limit)) kept.push(candidate);
  }
  return kept;
}

/** Candidates by falling score, those of equal score in the order given; at most `most` of them. */
export function bestFirst<C extends Candidate>(candidates: readonly C[], most = Number.POSITIVE_INFINITY): C[] {
  return [...candidates].sort((a, b) => b.score - a.score).slice(0, most);
}

/** The box with each side moved by a part of its width or height. @param offsets of left, top, right, bottom */
export function moveSides({ left, top, right, bottom }: FaceBox, offsets: ArrayLike<number>): FaceBox {
  const width = right - left;
  const height = bottom - top;
  return {
    left: left + offsets[0] * width,
    top: top + offsets[1] * height,
    right: right + offsets[2] * width,
    bottom: bottom + offsets[3] * height,
  };
}

/** The square around the box's centre whose side is the box's longer one. */
export function squareAround({ left, top, right, bottom }: FaceBox): FaceBox {
  const half = Math.max(right - left, bottom - top) / 2;
  const x = (left + right) / 2;
  const y = (top + bottom) / 2;
  return { left: x - half, top: y - half, right: x + half, bottom: y + half };
}
