import type { DetectedFace } from '../src/detection/face-detector.js';
import { type PageDetector, whyNoFaces } from './find-faces.js';
import { fromSource } from './picture.js';

/** Pixels of the longer side of a frame as the detector sees it. */
const SEEN_SIDE = 480;
/** After each frame the device rests as long as that took, at most so many milliseconds: other work goes on meanwhile. */
const MAX_REST = 500;
const RADIUS = 0.006;

/**
 * Shows the faces in a running video, frame by frame: the next is looked at when the one before is done and the browser draws
 * again, which it does not in a hidden tab. Between its steps the page is free.
 */
export class LiveFaces {
  #running: AbortController | null = null;

  /**
   * @param overlay lies over the video, which shows its frames whole
   * @param status is told how many faces there are when that changes, or why none can be found
   */
  constructor(
    private readonly detector: PageDetector,
    private readonly video: HTMLVideoElement,
    private readonly overlay: SVGSVGElement,
    private readonly status: HTMLElement,
  ) {}

  start(): void {
    this.stop();
    this.#running = new AbortController();
    this.status.textContent = 'Looking for faces…';
    void this.#run(this.#running.signal);
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
    this.overlay.replaceChildren();
    this.status.textContent = '';
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await new Promise(requestAnimationFrame);
      if (signal.aborted) return;
      const { video } = this;
      if (document.hidden || video.readyState < video.HAVE_CURRENT_DATA || video.videoWidth === 0) continue;
      const start = performance.now();
      try {
        const scale = Math.min(1, SEEN_SIDE / Math.max(video.videoWidth, video.videoHeight));
        const [width, height] = [video.videoWidth, video.videoHeight].map((side) =>
          Math.max(1, Math.round(scale * side)),
        );
        const faces = await this.detector.inFrame(fromSource(video, width, height));
        if (signal.aborted) return;
        this.#show(faces, width, height);
      } catch (error) {
        if (!signal.aborted) this.#say(whyNoFaces(error));
        return;
      }
      const rest = Math.min(MAX_REST, performance.now() - start);
      await new Promise((resolve) => setTimeout(resolve, rest));
    }
  }

  #show(faces: readonly DetectedFace[], width: number, height: number): void {
    const { overlay } = this;
    overlay.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const add = (name: 'rect' | 'circle', attributes: Record<string, number>): SVGElement => {
      const element = document.createElementNS('http://www.w3.org/2000/svg', name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value.toFixed(1));
      return element;
    };
    const r = RADIUS * Math.max(width, height);
    overlay.replaceChildren(
      ...faces.flatMap(({ box, landmarks }) => [
        add('rect', { ...box }),
        ...landmarks.map(([x, y]) => add('circle', { cx: x + 0.5, cy: y + 0.5, r })),
      ]),
    );
    this.#say(
      faces.length === 0 ? 'No face in view.' : `${faces.length} ${faces.length === 1 ? 'face' : 'faces'} in view.`,
    );
  }

  /** Only what is new, or it would be read aloud with each frame. */
  #say(text: string): void {
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}
