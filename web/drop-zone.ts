/** Takes files that are dropped on an element. */
export function onDrop(zone: HTMLElement, take: (files: File[]) => void): void {
  const leave = (): void => zone.classList.remove('over');
  zone.addEventListener('dragover', (event) => {
    event.preventDefault();
    zone.classList.add('over');
  });
  zone.addEventListener('dragleave', leave);
  zone.addEventListener('drop', (event) => {
    event.preventDefault();
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
