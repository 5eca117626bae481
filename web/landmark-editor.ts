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
/** For each key, the factor and the angle (radians) that it scales and turns the whole face by. */
const TURNS: Record<string, { scale: number; angle: number }> = {
  '+': { scale: 1.03, angle: 0 },
  '=': { scale: 1.03, angle: 0 },
  '-': { scale: 1 / 1.03, angle: 0 },
  '[': { scale: 1, angle: -0.03 },
  ']': { scale: 1, angle: 0.03 },
};

/** A rectangle of a picture, in pixels of the picture. */
export interface View {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Handles are drawn small if the eyes are nearer than this on the screen, in pixels, because large ones would hide the face. */
const CROWDED = 64;
/** A zoomed view is this many times as high as the aligned face. */
const ZOOMED_SIZE = 1.7;

/** The part of a picture of this size around a face; the whole picture if the face is outside of it. */
export function viewAround(points: FaceLandmarks, width: number, height: number): View {
  const map = fitSimilarity(FACE_TEMPLATE, points);
  const [cx, cy] = applySimilarity(map, [FACE_WIDTH / 2, FACE_HEIGHT / 2]);
  const half = (ZOOMED_SIZE / 2) * Math.hypot(map.a, map.b) * FACE_HEIGHT;
  const [left, right] = [Math.max(0, Math.floor(cx - half)), Math.min(width, Math.ceil(cx + half))];
  const [top, bottom] = [Math.max(0, Math.floor(cy - half)), Math.min(height, Math.ceil(cy + half))];
  if (right - left < 8 || bottom - top < 8) return { x: 0, y: 0, width, height };
  return { x: left, y: top, width: right - left, height: bottom - top };
}

const clampedPercent = (share: number): number => 100 * Math.max(0, Math.min(1, share));

/**
 * Five points on a picture, and a handle for the whole face. The user drags them, or moves them with the arrow keys (with Shift in
 * larger steps). On the handle of the whole face, + and − scale it, and [ and ] turn it.
 */
export class LandmarkEditor {
  readonly #handles: HTMLButtonElement[];
  readonly #outline: SVGPolygonElement;
  readonly #svg: SVGSVGElement;
  #points: Points = FACE_TEMPLATE as unknown as Points;
  #view: View = { x: 0, y: 0, width: 1, height: 1 };

  /**
   * @param stage the element with the picture, which gets the handles, too
   * @param announce is called with a text for screen readers when a key has moved a point
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

  /** Shows other points, without calling `onChange`. @param view the part of the picture that the stage shows */
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
    let grip: Point | null = null; // the point less the position of the pointer
    handle.addEventListener('pointerdown', (event) => {
      const [x, y] = this.#positionOf(event);
      const [px, py] = this.#placeOf(index);
      grip = [px - x, py - y];
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault(); // so that the browser neither selects text nor scrolls the page
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
      // A step is about one pixel of the aligned face.
      const { a, b } = fitSimilarity(FACE_TEMPLATE, this.#points);
      const length = Math.hypot(a, b) * (event.shiftKey ? 6 : 0.75);
      const [x, y] = this.#placeOf(index);
      this.#moveTo(index, [x + length * step[0], y + length * step[1]]);
      this.announce(handle.getAttribute('aria-label')!);
    });
    return handle;
  }

  /** The position of a point; for index 5, the middle of the forehead, where the handle of the whole face hides nothing. */
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
    // If the border cuts a face off, some points are outside of the view. They may stay there, but no point moves farther out.
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
      // The handle of a point outside of the view is at the border, so that the user can drag it.
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
