/** Calls `take` with the files that are dropped on an element. A drop zone around the element does not get them. */
export function onDrop(zone: HTMLElement, take: (files: File[]) => void): void {
  const leave = (): void => zone.classList.remove('over');
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    event.stopPropagation();
    zone.classList.add('over');
  });
  zone.addEventListener('dragleave', leave);
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
    event.stopPropagation();
    leave();
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length > 0) take(files);
  });
}

/** Keeps the browser from opening a file in place of the page when it is dropped outside of every zone. */
export function ignoreOtherDrops(): void {
  for (const kind of ['dragover', 'drop'] as const) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
}

/** Calls `take` with the files that are chosen in an input. The input is emptied, so that the same files can be chosen again. */
export function onChoice(input: HTMLInputElement, take: (files: File[]) => void): void {
  input.addEventListener('change', () => {
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length > 0) take(files);
  });
}

/** Whether a file is a face or an archive of Cameo's, by its first bytes or its name. A picture of a QR code is not. */
export async function isFaceContainer(file: File): Promise<boolean> {
  const [first, c, m] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return (first === 0x9e && c === 0x43 && m === 0x4d) || /\.(cameos?|bare|cameo\.png)$/i.test(file.name);
}
