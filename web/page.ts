import { startBench } from '../bench/web/panel.js';
import { adapterKind, adapterName } from '../src/gpu/description.js';
import { DeviceKeeper, type DeviceState } from '../src/gpu/device-keeper.js';
import { openBrowserGpu } from '../src/gpu/open.js';
import { byId, explain, showText } from './dom.js';
import { guardPage } from './drop-zone.js';
import { FaceTab } from './face-tab.js';
import { startReading } from './read-back.js';
import { startTabs } from './tabs.js';
import { TrainTab } from './train-tab.js';

function showState(state: DeviceState): void {
  const place = byId('gpu');
  if (state.kind === 'opening') place.textContent = 'Opening the GPU…';
  if (state.kind === 'lost') place.textContent = 'The GPU device was lost. Opening it again…';
  if (state.kind === 'open') {
    const { description } = state.gpu;
    const name = `Runs on ${adapterName(description)} (${adapterKind(description.kind)}).`;
    place.textContent = state.again ? `${name} The device was lost and is open again; nothing is lost with it.` : name;
    showText(byId('gpu-problem'), '');
  }
  if (state.kind === 'none') {
    place.textContent = 'No GPU: Cameo, training and the bench cannot run here. JPEG and WebP can.';
    const advice =
      'The GPU device was lost, and the browser gives no other one: start it anew, and load this page again. ';
    showText(byId('gpu-problem'), (state.lost ? advice : '') + explain(state.error));
  }
}

/** A browser may be starting its GPU process anew, and gives no more devices to a page that has ended it often. */
const device = new DeviceKeeper(openBrowserGpu, {
  retries: 2,
  backoffMs: 2000,
  onState: showState,
  reopenAtOnce: true,
});
guardPage();
const faceTab = new FaceTab(device);
startReading(device);
const trainTab = new TrainTab(device, () => faceTab.faces);
let benchStarted = false;
startTabs(byId('tabs'), (panel) => {
  if (panel === 'train') trainTab.describe();
  if (panel !== 'bench' || benchStarted) return;
  benchStarted = true;
  void startBench();
});
device.open().catch(() => {}); // its state has been shown
