import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { adapterFits, type FoundAdapter } from '../../src/gpu/node/adapters.js';
import type { ProbedAdapter } from '../../src/gpu/node/probe.js';

/** An adapter to test on. */
export interface TestAdapter {
  /** Value for CAMEO_ADAPTER. */
  name: string;
  /** Short name in the report: the kind, if no other adapter is of that kind. */
  label: string;
  /** True for a second software adapter, on which only files run that ask for all adapters. */
  second: boolean;
}

/**
 * The adapters that tests run on: all usable ones of this machine, or those that CAMEO_ADAPTER names. One that is
 * refused is only noted, unless CAMEO_ADAPTER asked for it: a driver too old for Dawn is no failure of ours.
 * @param thorough true: a second software adapter takes every file, too
 * @throws Error if none is left
 */
export async function findTestAdapters(note: (line: string) => void, thorough: boolean): Promise<TestAdapter[]> {
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
  return toTestAdapters(usable, thorough || wanted !== '');
}

/** @param equal true: all adapters take every file; false: only one software adapter does, SwiftShader if it is found */
export function toTestAdapters(usable: readonly FoundAdapter[], equal: boolean): TestAdapter[] {
  const software = usable.filter(({ kind }) => kind !== 'hardware');
  const first = software.find(({ kind }) => kind === 'swiftshader') ?? software[0];
  return usable.map((adapter) => ({
    name: adapter.name,
    label: usable.filter(({ kind }) => kind === adapter.kind).length === 1 ? adapter.kind : adapter.name,
    second: !equal && software.includes(adapter) && adapter !== first,
  }));
}
