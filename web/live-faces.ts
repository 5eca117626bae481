import type { DetectedFace } from '../src/detection/face-detector.js';
import { type PageDetector, whyNoFaces } from './find-faces.js';
import { fromSource } from './picture.js';

/** The longer side, in pixels, of the frame that the detector gets. */
const FRAME_SIDE = 480;
/** After each frame the device is left to other work for as long as the frame took, but for at most this many milliseconds. */
const MAX_REST = 500;
/** Radius of a landmark's mark, relative to the longer side of the frame. */
const RADIUS = 0.006;

/**
 * Shows the faces in a running video. A frame is searched when the search before is done and the browser draws again, so not in a
 * hidden tab. The page stays responsive between the steps of a search.
 */
export class LiveFaces {
  #running: AbortController | null = null;

  /**
   * @param overlay the element over the video that gets the marks; the video must show whole frames
   * @param status the element that shows the number of faces, or why faces cannot be found
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
        const scale = Math.min(1, FRAME_SIDE / Math.max(video.videoWidth, video.videoHeight));
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

  /** Sets the text only if it changes; otherwise screen readers would read it aloud with each frame. */
  #say(text: string): void {
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}
