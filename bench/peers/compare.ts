import type { Gpu } from '../../src/gpu/gpu.js';
import { prepareEngine } from '../core/engine.js';
import { type Runnable, timeByTurns } from '../core/runnable.js';
import { referenceSamples, tolerance, wrongness } from '../core/samples.js';
import { geometricMean, type Spread, spreadOf } from '../core/statistics.js';
import { KINDS, type Kind, operands, type Work } from '../core/work.js';
import type { Peer } from './peer.js';

/** One computation on our engine and on a peer. */
export interface PeerRow {
  kind: Kind;
  layer: string;
  megaflop: number;
  /** Milliseconds a run. */
  ours: Spread | null;
  peer: Spread | null;
  /** Peer's median time over ours: above 1 where we are faster. */
  ratio: number | null;
  /** Why a side was not timed: a wrong result, an error, an operation that is not there. */
  problem: string | null;
}

/** Largest difference between two results, where it is above what float32 sums may differ by; else null. */
function disagreement(work: Work, ours: Float32Array, peers: Float32Array): string | null {
  let largest = 0;
  let difference = 0;
  for (let i = 0; i < ours.length; i++) {
    largest = Math.max(largest, Math.abs(ours[i]));
    difference = Math.max(difference, Math.abs(ours[i] - peers[i]));
  }
  return difference <= 2 * tolerance(work, largest) ? null : `results differ by ${difference} (largest ${largest})`;
}

async function check(
  who: string,
  runnable: Runnable,
  work: Work,
  samples: ReadonlyMap<number, number>,
): Promise<{ values: Float32Array | null; problem: string | null }> {
  try {
    const values = await runnable.result();
    const wrong = wrongness(work, values, samples);
    return { values: wrong ? null : values, problem: wrong && `${who}: ${wrong}` };
  } catch (error) {
    return { values: null, problem: `${who}: ${(error as Error).message.split('\n')[0]}` };
  }
}

/** Compares the results of both with float64 and with each other, then times both by turns. */
export async function compareWithPeer(gpu: Gpu, peer: Peer, work: Work, budget: number): Promise<PeerRow> {
  const row: PeerRow = {
    kind: work.kind,
    layer: work.layer,
    megaflop: (2 * work.multiplyAdds) / 1e6,
    ours: null,
    peer: null,
    ratio: null,
    problem: null,
  };
  const arrays = operands(work);
  const samples = referenceSamples(work, arrays);
  const ours = prepareEngine(gpu, work, arrays);
  let theirs: Runnable | null = null;
  try {
    theirs = peer.prepare(work, arrays);
    const mine = await check('ours', ours, work, samples);
    const other = theirs ? await check(peer.name, theirs, work, samples) : { values: null, problem: 'not supported' };
    row.problem = mine.problem ?? other.problem;
    if (mine.values && other.values) row.problem ??= disagreement(work, mine.values, other.values);
    if (row.problem) return row;
    const { samples: times } = await timeByTurns([ours, theirs!], budget);
    [row.ours, row.peer] = times.map(spreadOf);
    row.ratio = row.peer.median / row.ours.median;
    return row;
  } catch (error) {
    row.problem = (error as Error).message.split('\n')[0];
    return row;
  } finally {
    ours.dispose();
    theirs?.dispose();
  }
}

/** Geometric means of the ratios, by kind. */
export function meanRatios(rows: readonly PeerRow[]): { kind: Kind; ratio: number; worst: PeerRow; layers: number }[] {
  return KINDS.flatMap((kind) => {
    const timed = rows.filter((row) => row.kind === kind && row.ratio !== null);
    if (timed.length === 0) return [];
    const worst = timed.reduce((a, b) => (b.ratio! < a.ratio! ? b : a));
    return [{ kind, ratio: geometricMean(timed.map((row) => row.ratio!)), worst, layers: timed.length }];
  });
}
