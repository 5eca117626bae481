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
  const kept = new BoxGrid<C>(candidates);
  for (const candidate of bestFirst(candidates)) {
    if (!kept.first(candidate, (better) => overlap(candidate, better, over) > limit)) kept.add(candidate);
  }
  return kept.all;
}

/** Columns and rows of a grid. */
const GRID = 64;

/** Boxes by where they lie: those that touch another one are found without a look at all of them. */
export class BoxGrid<B extends FaceBox> {
  /** In the order in which they were added. */
  readonly all: B[] = [];
  /** The numbers of the boxes that reach into a cell, rising. */
  readonly #cells = new Map<number, number[]>();
  readonly #left: number;
  readonly #top: number;
  readonly #scaleX: number;
  readonly #scaleY: number;

  /** @param expected boxes about as those that will be added and asked for: the grid covers their centres; what lies beside it counts to its border */
  constructor(expected: readonly FaceBox[]) {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const box of expected) {
      const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
    [this.#left, this.#top] = [left, top];
    this.#scaleX = GRID / Math.max(1, right - left);
    this.#scaleY = GRID / Math.max(1, bottom - top);
  }

  add(box: B): void {
    const number = this.all.push(box) - 1;
    for (const cell of this.#cellsOf(box)) {
      const numbers = this.#cells.get(cell);
      if (numbers) numbers.push(number);
      else this.#cells.set(cell, [number]);
    }
  }

  /** Of the boxes that may touch this one, the one added first that passes a test. */
  first(box: FaceBox, test: (other: B) => boolean): B | undefined {
    let first = this.all.length;
    for (const cell of this.#cellsOf(box)) {
      for (const number of this.#cells.get(cell) ?? []) {
        if (number >= first) break;
        if (test(this.all[number])) first = number;
      }
    }
    return this.all[first];
  }

  *#cellsOf({ left, top, right, bottom }: FaceBox): Generator<number> {
    const cell = (value: number): number => Math.min(GRID - 1, Math.max(0, Math.floor(value)));
    const [x0, x1] = [left, right].map((x) => cell((x - this.#left) * this.#scaleX));
    const [y0, y1] = [top, bottom].map((y) => cell((y - this.#top) * this.#scaleY));
    for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) yield y * GRID + x;
  }
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
