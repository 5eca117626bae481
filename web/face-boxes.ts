import type { DetectedFace } from '../src/detection/face-detector.js';
import type { View } from './landmark-editor.js';

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/**
 * Boxes over the faces in a picture, one of which is chosen: a group of radio buttons by the pattern of WAI-ARIA. The Tab key
 * reaches the chosen one, and arrow keys choose the others. With fewer than two faces there are no boxes.
 */
export class FaceBoxes {
  #boxes: DetectedFace['box'][] = [];
  #buttons: HTMLButtonElement[] = [];
  #view: View = { x: 0, y: 0, width: 1, height: 1 };

  /** @param onChoose is called with the index of the chosen face among those of `show` */
  constructor(
    private readonly group: HTMLElement,
    private readonly onChoose: (face: number) => void,
  ) {}

  /** Replaces the boxes by those of other faces, and chooses the first. @param faces the largest first */
  show(faces: readonly DetectedFace[]): void {
    this.#boxes = faces.length > 1 ? faces.map(({ box }) => box) : [];
    this.#buttons = this.#boxes.map((_, k) => this.#button(k));
    this.group.replaceChildren(...this.#buttons);
    this.group.hidden = this.#boxes.length === 0;
    this.#mark(0);
    this.place(this.#view);
  }

  /** Moves the boxes to their places in a view. @param view the part of the picture that is shown */
  place(view: View): void {
    this.#view = view;
    this.#buttons.forEach(({ style }, k) => {
      const { x, y, width, height } = this.#boxes[k];
      style.left = `${(100 * (x - view.x)) / view.width}%`;
      style.top = `${(100 * (y - view.y)) / view.height}%`;
      style.width = `${(100 * width) / view.width}%`;
      style.height = `${(100 * height) / view.height}%`;
    });
  }

  #button(k: number): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'box';
    button.setAttribute('role', 'radio');
    const { x, y, width, height } = this.#boxes[k];
    const place = `at ${Math.round(x + width / 2)}, ${Math.round(y + height / 2)}`;
    const largest = k === 0 ? ', the largest' : '';
    button.setAttribute('aria-label', `Face ${k + 1} of ${this.#boxes.length}${largest}, ${place}`);
    button.addEventListener('click', () => this.#choose(k));
    button.addEventListener('keydown', (event) => {
      const step = STEPS[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const next = (k + step + this.#buttons.length) % this.#buttons.length;
      this.#choose(next);
      this.#buttons[next].focus();
    });
    return button;
  }

  #choose(face: number): void {
    this.#mark(face);
    this.onChoose(face);
  }

  #mark(chosen: number): void {
    this.#buttons.forEach((button, k) => {
      button.setAttribute('aria-checked', String(k === chosen));
      button.tabIndex = k === chosen ? 0 : -1;
    });
  }
}
