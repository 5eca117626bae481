import { fetchForLater } from './models.js';

/** Milliseconds to wait after the device is open before more is fetched, so that what the visitor asks for comes first. */
const DELAY_MS = 3000;

/** Registers the service worker, which keeps the page for visits without a network. If the browser refuses, the page works with one. */
export function keepPage(say: (text: string) => void): void {
  if (!('serviceWorker' in navigator)) return;
  const register = async (): Promise<void> => {
    try {
      await navigator.serviceWorker.register('sw.js');
      await navigator.serviceWorker.ready;
      say('The page is kept on this device, and opens without a network, too.');
    } catch (error) {
      console.info('the page is not kept', error);
    }
  };
  if (document.readyState === 'complete') void register();
  else window.addEventListener('load', () => void register());
}

/** Fetches the other weights a moment later, unless the visitor saves data. */
export function fetchLater(): void {
  const { connection } = navigator as { connection?: { saveData?: boolean } };
  if (connection?.saveData) return;
  setTimeout(() => void fetchForLater().catch(() => {}), DELAY_MS); // a later step fetches again, and shows the error
}
