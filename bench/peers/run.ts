import type { Gpu } from '../../src/gpu/gpu.js';
import { plausibleTimer } from '../core/pass-timer.js';
import type { Work } from '../core/work.js';
import { compareWithPeer, meanRatios, type PeerRow } from './compare.js';
import { openOnnxRuntime } from './onnxruntime.js';
import type { OpenPeer, Peer } from './peer.js';
import { openTensorFlowJs } from './tfjs.js';

const PEERS: readonly OpenPeer[] = [openTensorFlowJs, openOnnxRuntime];

const rate = (row: PeerRow, ms: number | undefined): string =>
  (ms === undefined ? '-' : (row.megaflop / ms).toFixed(2)).padStart(8);

function line(row: PeerRow): string {
  const columns = [
    String(row.batch).padStart(5),
    row.megaflop.toFixed(1).padStart(8),
    rate(row, row.ours?.median),
    rate(row, row.peer?.median),
  ];
  const problem = row.problem ? `  ${row.problem}` : '';
  return `${row.kind.padEnd(26)} ${row.layer.padEnd(42)} ${columns.join(' ')} ${times(row.ratio).padStart(8)} ${times(row.deviceRatio).padStart(8)}${problem}`;
}

export interface PeerReport {
  name: string;
  version: string;
  /** What a reader of its figures must know. */
  note: string;
  rows: PeerRow[];
}

const times = (ratio: number | null): string => (ratio === null ? '-' : `${ratio.toFixed(2)}×`);

async function runPeer(
  gpu: Gpu,
  peer: Peer,
  works: readonly Work[],
  budget: number,
  print: (text: string) => void,
): Promise<PeerReport> {
  const { name, version, note } = peer;
  print(`\nagainst ${name} ${version} on the same device (GFLOP/s; a ratio above 1 means that ours is faster)`);
  if (note) print(note);
  print(`${'kind'.padEnd(26)} ${'layer'.padEnd(42)} batch    MFLOP     ours     peer    ratio   device`);
  const timer = await plausibleTimer(gpu);
  const rows: PeerRow[] = [];
  try {
    for (const work of works.filter(({ kind }) => peer.kinds.includes(kind))) {
      const row = await compareWithPeer(gpu, peer, work, budget, timer);
      rows.push(row);
      print(line(row));
    }
  } finally {
    timer?.dispose();
  }
  print("\ngeometric means by kind and batch (in brackets by the device's timestamps)");
  for (const { kind, batch, ratio, deviceRatio, worst, layers } of meanRatios(rows)) {
    const least = `least ${times(worst.ratio)} (${worst.layer})`;
    print(`${kind.padEnd(26)} ${batch}: ${times(ratio)} (${times(deviceRatio)}) over ${layers} layers; ${least}`);
  }
  return { name, version, note, rows };
}

/** Times every computation on our engine and on each peer that is installed. Prints each result at once. */
export async function runPeers(
  gpu: Gpu,
  works: readonly Work[],
  budget: number,
  print: (text: string) => void,
): Promise<PeerReport[]> {
  const reports: PeerReport[] = [];
  for (const open of PEERS) {
    const peer = await open(gpu);
    if (typeof peer === 'string') {
      print(peer);
      continue;
    }
    try {
      reports.push(await runPeer(gpu, peer, works, budget, print));
    } finally {
      peer.dispose();
    }
  }
  return reports;
}
