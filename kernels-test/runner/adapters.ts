import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { adapterFits } from '../../src/gpu/node/adapters.js';
import type { ProbedAdapter } from '../../src/gpu/node/probe.js';

/** An adapter to test on. */
export interface TestAdapter {
  /** Value for CAMEO_ADAPTER. */
  name: string;
  /** Short word for the report: the kind, where no other adapter is of that kind. */
  label: string;
}

/**
 * The adapters that tests run on: each usable one of this machine, or those that CAMEO_ADAPTER names. One that is
 * refused is only noted, unless CAMEO_ADAPTER asked for it: a driver too old for Dawn is no failure of ours.
 * @throws Error where none is left
 */
export async function findTestAdapters(note: (line: string) => void): Promise<TestAdapter[]> {
  const wanted = process.env.CAMEO_ADAPTER ?? '';
  const script = fileURLToPath(new URL('./probe.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, script], { timeout: 120_000 });
  const all = JSON.parse(stdout) as ProbedAdapter[];
  const fitting = all.filter(({ found }) => adapterFits(found, wanted));
  for (const { found, refused } of fitting) {
    if (refused === undefined) continue;
    if (wanted !== '') throw new Error(`adapter "${found.name}" is refused: ${refused}`);
    note(`adapter "${found.name}" is left out: ${refused}`);
  }
  const usable = fitting.filter(({ refused }) => refused === undefined).map(({ found }) => found);
  if (usable.length === 0) {
    const names = all.map(({ found }) => `"${found.name}"`).join(', ') || 'none';
    throw new Error(`no WebGPU adapter to test on${wanted && ` fits "${wanted}"`} (found: ${names})`);
  }
  return usable.map(({ name, kind }) => ({
    name,
    label: usable.filter((other) => other.kind === kind).length === 1 ? kind : name,
  }));
}
