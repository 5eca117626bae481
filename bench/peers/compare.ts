import type { Gpu } from '../../src/gpu/gpu.js';
import { prepareEngine } from '../core/engine.js';
import type { PassTimer } from '../core/pass-timer.js';
import { type Runnable, timeByTurns } from '../core/runnable.js';
import { referenceSamples, tolerance, wrongness } from '../core/samples.js';
import { geometricMean, quantile, type Spread, spreadOf } from '../core/statistics.js';
import { KINDS, type Kind, operands, type Work } from '../core/work.js';
import type { Peer } from './peer.js';

/** The times of one computation on our engine and on a peer. */
export interface PeerRow {
  kind: Kind;
  layer: string;
  batch: number;
  megaflop: number;
  /** Milliseconds per run by the wall clock; null if a side was not timed. */
  ours: Spread | null;
  peer: Spread | null;
  /** Peer's median time over ours: above 1 where we are faster. */
  ratio: number | null;
  /** The same ratio by the device's timestamps, which leave out the cost of calls from JavaScript; null if there are none. */
  deviceRatio: number | null;
  /** Why a side was not timed: a wrong result, an error, or an operation that it does not have. */
  problem: string | null;
}

/** The largest difference between two results in words, if it is above the tolerance of float32 sums; else null. */
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

/** Compares the results of both with float64 and with each other, then times both in turn. */
export async function compareWithPeer(
  gpu: Gpu,
  peer: Peer,
  work: Work,
  budget: number,
  timer: PassTimer | null = null,
): Promise<PeerRow> {
  const row: PeerRow = {
    kind: work.kind,
    layer: work.layer,
    batch: work.batch,
    megaflop: (2 * work.multiplyAdds) / 1e6,
    ours: null,
    peer: null,
    ratio: null,
    deviceRatio: null,
    problem: null,
  };
  const arrays = operands(work);
  const samples = referenceSamples(work, arrays);
  const ours = prepareEngine(gpu, work, arrays);
  let theirs: Runnable | null = null;
  try {
    theirs = await peer.prepare(work, arrays);
    const mine = await check('ours', ours, work, samples);
    const other = await check(peer.name, theirs, work, samples);
    row.problem = mine.problem ?? other.problem;
    if (mine.values && other.values) row.problem ??= disagreement(work, mine.values, other.values);
    if (row.problem) return row;
    const { samples: times, device } = await timeByTurns([ours, theirs], budget, timer);
    [row.ours, row.peer] = times.map(spreadOf);
    row.ratio = row.peer.median / row.ours.median;
    const [mineOnDevice, theirsOnDevice] = device;
    if (mineOnDevice && theirsOnDevice) row.deviceRatio = quantile(theirsOnDevice, 0.5) / quantile(mineOnDevice, 0.5);
    return row;
  } catch (error) {
    row.problem = `${peer.name}: ${(error as Error).message.split('\n')[0]}`;
    return row;
  } finally {
    await ours.dispose();
    await theirs?.dispose();
  }
}

/** The geometric mean of the ratios of one kind at one batch size. */
export interface MeanRatio {
  kind: Kind;
  batch: number;
  layers: number;
  ratio: number;
  /** Null unless every layer has a ratio by the device's timestamps. */
  deviceRatio: number | null;
  worst: PeerRow;
}

/** Geometric means of the ratios, by kind and batch. */
export function meanRatios(rows: readonly PeerRow[]): MeanRatio[] {
  const batches = [...new Set(rows.map(({ batch }) => batch))];
  return KINDS.flatMap((kind) => batches.map((batch) => ({ kind, batch }))).flatMap(({ kind, batch }) => {
    const timed = rows.filter((row) => row.kind === kind && row.batch === batch && row.ratio !== null);
    if (timed.length === 0) return [];
    const worst = timed.reduce((a, b) => (b.ratio! < a.ratio! ? b : a));
    const device = timed.map(({ deviceRatio }) => deviceRatio).filter((ratio) => ratio !== null);
    const deviceRatio = device.length === timed.length ? geometricMean(device) : null;
    return [
      { kind, batch, layers: timed.length, ratio: geometricMean(timed.map((row) => row.ratio!)), deviceRatio, worst },
    ];
  });
}
