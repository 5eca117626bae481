import type { Gpu } from '../../src/gpu/gpu.js';
import type { Work } from '../core/work.js';
import { compareWithPeer, meanRatios, type PeerRow } from './compare.js';
import type { OpenPeer } from './peer.js';
import { openTensorFlowJs } from './tfjs.js';

const PEERS: OpenPeer[] = [openTensorFlowJs];

/** What else could be compared, and why it is not. */
export const NOT_COMPARED =
  'Not compared: onnxruntime-web. Version 1.30.0 computes a conv through WebGPU in Node where queue.writeBuffer is made ' +
  'to copy its shared memory, but it is not built in here; it would be in forward passes only, as it has no gradients.';

const rate = (row: PeerRow, ms: number | undefined): string =>
  (ms === undefined ? '-' : (row.megaflop / ms).toFixed(2)).padStart(8);

function line(row: PeerRow): string {
  const ratio = row.ratio === null ? '-' : `${row.ratio.toFixed(2)}×`;
  const columns = [row.megaflop.toFixed(1).padStart(8), rate(row, row.ours?.median), rate(row, row.peer?.median)];
  const problem = row.problem ? `  ${row.problem}` : '';
  return `${row.kind.padEnd(26)} ${row.layer.padEnd(42)} ${columns.join(' ')} ${ratio.padStart(8)}${problem}`;
}

export interface PeerReport {
  name: string;
  version: string;
  batch: number;
  rows: PeerRow[];
}

/** Times every computation on our engine and each peer that can be had; prints as it goes. */
export async function runPeers(
  gpu: Gpu,
  works: readonly Work[],
  batch: number,
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
    print(`\nagainst ${peer.name} ${peer.version} on the same device (GFLOP/s; ratio above 1: ours is faster)`);
    print(`${'kind'.padEnd(26)} ${'layer'.padEnd(42)}    MFLOP     ours     peer    ratio`);
    const rows: PeerRow[] = [];
    for (const work of works) {
      const row = await compareWithPeer(gpu, peer, work, budget);
      rows.push(row);
      print(line(row));
    }
    print('\ngeometric means by kind');
    for (const { kind, ratio, worst, layers } of meanRatios(rows)) {
      print(
        `${kind.padEnd(26)} ${ratio.toFixed(2)}× over ${layers} layers; least ${worst.ratio!.toFixed(2)}× (${worst.layer})`,
      );
    }
    reports.push({ name: peer.name, version: peer.version, batch, rows });
    peer.dispose();
  }
  print(`\n${NOT_COMPARED}`);
  return reports;
}
