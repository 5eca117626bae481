import { CameoError } from '../src/common/errors.js';

/** The element with an id. @throws Error if the page has none */
export const byId = <T extends HTMLElement = HTMLElement>(id: string): T => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element ${id}`);
  return element as T;
};

/** The first element inside `root` that a selector matches. @throws Error if there is none */
export const elementWithin = <T extends HTMLElement = HTMLElement>(root: ParentNode, selector: string): T => {
  const element = root.querySelector<T>(selector);
  if (!element) throw new Error(`the page has no element ${selector}`);
  return element;
};

/** Shows a text in an element, or hides the element if the text is empty. */
export function showText(place: HTMLElement, text: string): void {
  place.textContent = text;
  place.hidden = text === '';
}

/** The message of an error, for the page. An unexpected error also goes to the console, with its stack. */
export function explain(error: unknown): string {
  if (!(error instanceof CameoError)) console.error(error);
  return error instanceof Error ? error.message : String(error);
}

/** Makes a link download these bytes, and frees those that it offered before. */
export function offer(link: HTMLAnchorElement, bytes: Uint8Array | Blob, name: string): void {
  const blob = bytes instanceof Blob ? bytes : new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' });
  if (link.href.startsWith('blob:')) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(blob);
  link.download = name;
}
