import { CameoError } from '../src/common/errors.js';

/** The element of an id, which the page has. */
export const byId = <T extends HTMLElement = HTMLElement>(id: string): T => {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as T;
};

/** The first element inside `root` that a selector finds, which the page has. */
export const elementWithin = <T extends HTMLElement = HTMLElement>(root: ParentNode, selector: string): T => {
  const found = root.querySelector<T>(selector);
  if (!found) throw new Error(`the page has no element ${selector}`);
  return found;
};

/** Shows a text, or hides its place where there is none. */
export function showText(place: HTMLElement, text: string): void {
  place.textContent = text;
  place.hidden = text === '';
}

/** What to tell of an error. What nobody foresaw goes to the console too, with its stack. */
export function explain(error: unknown): string {
  if (!(error instanceof CameoError)) console.error(error);
  return error instanceof Error ? error.message : String(error);
}

/** Points a download link to other bytes, and frees those before. */
export function offer(link: HTMLAnchorElement, bytes: Uint8Array | Blob, name: string): void {
  const blob = bytes instanceof Blob ? bytes : new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' });
  if (link.href.startsWith('blob:')) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
}
