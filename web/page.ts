import { startBench } from '../bench/web/panel.js';
import { adapterKind, adapterName } from '../src/gpu/description.js';
import { byId, explain, showText } from './dom.js';
import { guardPage } from './drop-zone.js';
import { FaceTab } from './face-tab.js';
import { GpuSession, type GpuState } from './gpu-session.js';
import { startReading } from './read-back.js';
import { startTabs } from './tabs.js';
import { TrainTab } from './train-tab.js';

function showState(state: GpuState): void {
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

const session = new GpuSession(showState);
guardPage();
const faceTab = new FaceTab(session);
startReading(session);
const trainTab = new TrainTab(session, () => faceTab.faces);
let benchStarted = false;
startTabs(byId('tabs'), (panel) => {
  if (panel === 'train') trainTab.describe();
  if (panel !== 'bench' || benchStarted) return;
  benchStarted = true;
  void startBench();
});
session.open().catch(() => {}); // its state has been shown
