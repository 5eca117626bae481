import { fetchForLater } from './models.js';

/** Milliseconds after the first face before more is fetched: what the visitor asks for comes first. */
const LATER = 3000;

/** Keeps the page for visits without a network. Where the browser does not allow it, it works with one. */
export function keepPage(say: (text: string) => void): void {
  if (!('serviceWorker' in navigator)) return;
  const register = async (): Promise<void> => {
    try {
      await navigator.serviceWorker.register('sw.js');
      await navigator.serviceWorker.ready;
      say('It is kept, and opens without a network, too.');
    } catch (error) {
      console.info('the page is not kept', error);
    }
  };
  if (document.readyState === 'complete') void register();
  else window.addEventListener('load', () => void register());
}

/** Fetches the other weights once the first face is there, unless the visitor saves data. */
export function fetchLater(): void {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  if (connection?.saveData) return;
  setTimeout(() => void fetchForLater().catch(() => {}), LATER); // whoever needs them then is told
}
