import { note } from './terminal.js';

/** Tells how many pictures of a folder are left out, as Cameo made them. */
export function noteOwn({ root, own }: { root: string; own: number }): void {
  if (own > 0) note(`left out ${own} pictures that Cameo wrote, in ${root}`);
}
