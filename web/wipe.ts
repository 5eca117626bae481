import { byId, elementWithin } from './dom.js';

/**
 * Two pictures of one face, one over the other, with a movable border between them. The user moves it with the range input below, by
 * pointer or keyboard, or with the pointer on the picture.
 */
export class Wipe {
  readonly #place = byId('wipe');
  readonly #range = byId<HTMLInputElement>('wipe-at');

  constructor() {
    this.#range.addEventListener('input', () => this.#draw());
    const stage = elementWithin(this.#place, '.pictures');
    const move = (event: PointerEvent): void => {
      const { left, width } = stage.getBoundingClientRect();
      this.#range.value = String(Math.round((100 * (event.clientX - left)) / width));
      this.#draw();
    };
    let dragged = false;
    stage.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || this.#range.disabled) return;
      dragged = true;
      stage.setPointerCapture(event.pointerId);
      move(event);
    });
    stage.addEventListener('pointermove', (event) => dragged && move(event));
    for (const end of ['pointerup', 'pointercancel'] as const) stage.addEventListener(end, () => (dragged = false));
    this.#draw();
  }

  /** @param possible whether there is an original to compare with; if not, only the restored face is shown */
  compare(possible: boolean): void {
    this.#range.hidden = this.#range.disabled = !possible;
    this.#place.classList.toggle('single', !possible);
    this.#draw();
  }

  #draw(): void {
    const share = Number(this.#range.value);
    this.#place.style.setProperty('--at', `${this.#range.disabled ? 0 : share}%`);
    this.#range.setAttribute('aria-valuetext', `${share} % original, ${100 - share} % restored`);
  }
}
