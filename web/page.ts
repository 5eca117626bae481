import { adapterKind, adapterName } from '../src/gpu/description.js';
import { DeviceKeeper, type DeviceState } from '../src/gpu/device-keeper.js';
import { byId, explain, showText } from './dom.js';
import { ignoreOtherDrops } from './drop-zone.js';
import { bytesInLink } from './face-link.js';
import { FaceTab } from './face-tab.js';
import { codecWeights } from './models.js';
import { fetchLater, keepPage } from './offline.js';
import { ReadBack } from './read-back.js';
import { startTabs } from './tabs.js';
import type { TrainTab } from './train-tab.js';

function showState(state: DeviceState): void {
  const place = byId('gpu');
  if (state.kind === 'opening') place.textContent = 'Opening the GPU…';
  if (state.kind === 'lost') place.textContent = 'The GPU device was lost. Opening it again…';
  if (state.kind === 'open') {
    const { description } = state.gpu;
    const name = `Runs on ${adapterName(description)} (${adapterKind(description.kind)}).`;
    place.textContent = state.again ? `${name} The device was lost and is open again; no work was lost.` : name;
    showText(byId('gpu-problem'), '');
  }
  if (state.kind === 'none') {
    place.textContent = 'No GPU: Cameo, training and the bench cannot run here. JPEG and WebP can.';
    const advice =
      'The GPU device was lost, and the browser gives no other one. Restart the browser, and load this page again. ';
    showText(byId('gpu-problem'), (state.lost ? advice : '') + explain(state.error));
  }
}

/** After a loss, the browser may first have to restart its GPU process. A page that has crashed it often gets no more devices. */
const device = new DeviceKeeper(async () => (await import('./engine.js')).openBrowserGpu(), {
  retries: 2,
  backoffMs: 2000,
  onState: showState,
  reopenAtOnce: true,
});
// The weights are fetched while the device is opened. If that fails, whoever needs them shows the error.
if (navigator.gpu) codecWeights().catch(() => {});
ignoreOtherDrops();
const reading = new ReadBack(device);
const faceTab = new FaceTab(device, (file) => reading.open(file));

/** Shows the face in the page's address, or the invented one. */
function showFirst(): void {
  showText(byId('link-problem'), '');
  try {
    const bytes = bytesInLink(location.hash);
    if (bytes) {
      faceTab.showLinked(bytes);
      return;
    }
  } catch (error) {
    showText(byId('link-problem'), `The face in the link cannot be restored: ${explain(error)}`);
  }
  void faceTab.showInvented();
}

showFirst();
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith('#face=')) showFirst();
});

/** The code of the training and bench tabs is loaded when they are first shown. */
let trainTab: Promise<TrainTab> | null = null;
let bench: Promise<void> | null = null;
/** Ids of the forms whose code is loaded, and which listen for themselves. */
const ready = new Set<string>();
const loadTraining = async (): Promise<TrainTab> => {
  const { TrainTab } = await import('./train-tab.js');
  const tab = new TrainTab(device, () => faceTab.faces);
  ready.add('train-form');
  return tab;
};
const loadBench = async (): Promise<void> => {
  await (await import('../bench/web/panel.js')).startBench();
  ready.add('form');
};
const openTraining = (): Promise<TrainTab> => (trainTab ??= loadTraining());
const openBench = (): Promise<void> => (bench ??= loadBench());
const notLoaded = (error: unknown): void =>
  showText(byId('gpu-problem'), `A part of this page could not be loaded: ${explain(error)}`);

startTabs(byId('tabs'), (panel) => {
  if (panel === 'train') openTraining().then((tab) => tab.describe(), notLoaded);
  if (panel === 'bench') openBench().catch(notLoaded);
});

// A button may be pressed before the code of its form is loaded. The form is then submitted again when it is.
document.addEventListener('submit', (event) => {
  const form = event.target as HTMLFormElement;
  if (form.method === 'dialog') return;
  event.preventDefault();
  if (ready.has(form.id)) return;
  const opened: Promise<unknown> = form.id === 'train-form' ? openTraining() : openBench();
  opened.then(() => form.requestSubmit(), notLoaded);
});
keepPage((text) => (byId('offline').textContent = text));
device.open().then(fetchLater, () => {}); // `showState` has shown the error
