/** Takes files that are dropped on an element; an element around it does not. */
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

/** What is dropped beside every zone must not replace the page. */
export function guardPage(): void {
  for (const kind of ['dragover', 'drop'] as const) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
}

/** Takes the files of an input, which is then ready for the same ones again. */
export function onChoice(input: HTMLInputElement, take: (files: File[]) => void): void {
  input.addEventListener('change', () => {
    const files = [...(input.files ?? [])];
    input.value = '';
    if (files.length > 0) take(files);
  });
}

/** Whether a file holds faces in a container of ours, by its first bytes or its name; a picture of a QR code does not. */
export async function isFaceContainer(file: File): Promise<boolean> {
  const [first, c, m] = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return (first === 0x9e && c === 0x43 && m === 0x4d) || /\.(cameos?|bare|cameo\.png)$/i.test(file.name);
}
