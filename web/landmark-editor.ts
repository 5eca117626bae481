import {
  applySimilarity,
  FACE_HEIGHT,
  FACE_TEMPLATE,
  FACE_WIDTH,
  type FaceLandmarks,
  fitSimilarity,
  LANDMARK_NAMES,
  type Point,
} from '../src/detection/align.js';

type Points = [Point, Point, Point, Point, Point];

const STEPS: Record<string, Point> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** By key: factor and angle (radians) of the whole face. */
const TURNS: Record<string, { scale: number; angle: number }> = {
  '+': { scale: 1.03, angle: 0 },
  '=': { scale: 1.03, angle: 0 },
  '-': { scale: 1 / 1.03, angle: 0 },
  '[': { scale: 1, angle: -0.03 },
  ']': { scale: 1, angle: 0.03 },
};

/** A part of a picture, in its pixels. */
export interface View {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Where the eyes are nearer than this on the screen, in pixels, handles are drawn small: they would hide the face. */
const CROWDED = 64;
/** A zoomed view is this many times as large as the aligned face. */
const AROUND = 1.7;

/** The part of a picture of this size that is around a face. */
export function around(points: FaceLandmarks, width: number, height: number): View {
  const map = fitSimilarity(FACE_TEMPLATE, points);
  const [cx, cy] = applySimilarity(map, [FACE_WIDTH / 2, FACE_HEIGHT / 2]);
  const half = (AROUND / 2) * Math.hypot(map.a, map.b) * FACE_HEIGHT;
  const [left, right] = [Math.max(0, Math.floor(cx - half)), Math.min(width, Math.ceil(cx + half))];
  const [top, bottom] = [Math.max(0, Math.floor(cy - half)), Math.min(height, Math.ceil(cy + half))];
  // Of a face beyond the border there may be nothing to show.
  if (right - left < 8 || bottom - top < 8) return { x: 0, y: 0, width, height };
  return { x: left, y: top, width: right - left, height: bottom - top };
}

const clampedPercent = (share: number): number => 100 * Math.max(0, Math.min(1, share));

/**
 * Five points on a picture, and a handle for all of them, which are dragged or moved by the arrow keys (with Shift by
 * larger steps); the handle of all also takes + − [ ] to scale and turn.
 */
export class LandmarkEditor {
  readonly #handles: HTMLButtonElement[];
  readonly #outline: SVGPolygonElement;
  readonly #svg: SVGSVGElement;
  #points: Points = FACE_TEMPLATE as unknown as Points;
  #view: View = { x: 0, y: 0, width: 1, height: 1 };

  /**
   * @param stage holds the picture, and takes the handles over it
   * @param announce is told where a key has moved a point, for readers who do not see it
   */
  constructor(
    private readonly stage: HTMLElement,
    private readonly onChange: (points: FaceLandmarks) => void,
    private readonly announce: (text: string) => void,
  ) {
    this.#svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    this.#svg.setAttribute('aria-hidden', 'true');
    this.#svg.setAttribute('preserveAspectRatio', 'none');
    this.#outline = document.createElementNS('http://www.w3.org/2000/svg', 'polygon');
    this.#svg.append(this.#outline);
    this.#handles = [...LANDMARK_NAMES, 'whole face'].map((name, k) => this.#handle(name, k));
    stage.append(this.#svg, ...this.#handles);
    new ResizeObserver(() => this.#draw()).observe(stage);
  }

  /** Shows other points, without `onChange`. @param view the part of the picture that the stage shows */
  place(points: FaceLandmarks, view: View): void {
    this.#points = [...points];
    this.#view = view;
    this.#svg.setAttribute('viewBox', `${view.x} ${view.y} ${view.width} ${view.height}`);
    this.#draw();
  }

  #handle(name: string, index: number): HTMLButtonElement {
    const handle = document.createElement('button');
    handle.type = 'button';
    handle.className = index < 5 ? 'handle' : 'handle whole';
    handle.dataset.name = name;
    handle.setAttribute('aria-roledescription', 'movable point');
    let grip: Point | null = null; // from the pointer to the point
    handle.addEventListener('pointerdown', (event) => {
      const [x, y] = this.#positionOf(event);
      const [px, py] = this.#placeOf(index);
      grip = [px - x, py - y];
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault(); // neither text is selected nor the page scrolled
    });
    handle.addEventListener('pointermove', (event) => {
      if (!grip) return;
      const [x, y] = this.#positionOf(event);
      this.#moveTo(index, [x + grip[0], y + grip[1]]);
    });
    for (const end of ['pointerup', 'pointercancel'] as const) handle.addEventListener(end, () => (grip = null));
    handle.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = STEPS[event.key];
      const turn = index === 5 ? TURNS[event.key] : undefined;
      if (!step && !turn) return;
      event.preventDefault();
      if (turn) this.turn(turn.scale, turn.angle);
      if (!step) {
        this.announce('whole face turned or scaled');
        return;
      }
      // About a pixel of the aligned face.
      const { a, b } = fitSimilarity(FACE_TEMPLATE, this.#points);
      const length = Math.hypot(a, b) * (event.shiftKey ? 6 : 0.75);
      const [x, y] = this.#placeOf(index);
      this.#moveTo(index, [x + length * step[0], y + length * step[1]]);
      this.announce(handle.getAttribute('aria-label')!);
    });
    return handle;
  }

  /** Of a point, or of the middle of the forehead, where the handle of all hides nothing. */
  #placeOf(index: number): Point {
    if (index < 5) return this.#points[index];
    return applySimilarity(fitSimilarity(FACE_TEMPLATE, this.#points), [FACE_WIDTH / 2, 0.16 * FACE_HEIGHT]);
  }

  #positionOf({ clientX, clientY }: PointerEvent): Point {
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const view = this.#view;
    return [view.x + ((clientX - left) / width) * view.width, view.y + ((clientY - top) / height) * view.height];
  }

  #moveTo(index: number, [x, y]: Point): void {
    const from = this.#placeOf(index);
    // Points of a face that the border cuts off lie beyond it. No point goes farther than it is already.
    const within = (value: number, was: number, low: number, size: number): number =>
      Math.max(Math.min(low, was), Math.min(Math.max(low + size, was), value));
    const view = this.#view;
    const dx = within(x, from[0], view.x, view.width) - from[0];
    const dy = within(y, from[1], view.y, view.height) - from[1];
    this.#set(this.#points.map(([px, py], k): Point => (index === 5 || k === index ? [px + dx, py + dy] : [px, py])));
  }

  /** Scales and turns all points about the middle of the face. @param angle radians, clockwise */
  turn(scale: number, angle: number): void {
    const [cx, cy] = applySimilarity(fitSimilarity(FACE_TEMPLATE, this.#points), [FACE_WIDTH / 2, FACE_HEIGHT / 2]);
    const [a, b] = [scale * Math.cos(angle), scale * Math.sin(angle)];
    this.#set(
      this.#points.map(([x, y]): Point => [cx + a * (x - cx) - b * (y - cy), cy + b * (x - cx) + a * (y - cy)]),
    );
  }

  #set(points: readonly Point[]): void {
    this.#points = points as unknown as Points;
    this.#draw();
    this.onChange(this.#points);
  }

  #draw(): void {
    const [[x0, y0], [x1, y1]] = this.#points;
    const apart = (Math.hypot(x1 - x0, y1 - y0) / this.#view.width) * this.stage.clientWidth;
    this.stage.classList.toggle('crowded', apart < CROWDED);
    this.#handles.forEach((handle, k) => {
      const [x, y] = this.#placeOf(k);
      // At the border where the point is beyond it, so that it can be seized.
      handle.style.left = `${clampedPercent((x - this.#view.x) / this.#view.width)}%`;
      handle.style.top = `${clampedPercent((y - this.#view.y) / this.#view.height)}%`;
      handle.setAttribute('aria-label', `${handle.dataset.name}, at ${Math.round(x)}, ${Math.round(y)}`);
    });
    const map = fitSimilarity(FACE_TEMPLATE, this.#points);
    const corners: Point[] = [
      [0, 0],
      [FACE_WIDTH, 0],
      [FACE_WIDTH, FACE_HEIGHT],
      [0, FACE_HEIGHT],
    ];
    this.#outline.setAttribute('points', corners.map((corner) => applySimilarity(map, corner).join(',')).join(' '));
  }
}
