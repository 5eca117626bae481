import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/cli/package-root.js';
import { buildPage } from './build.js';
import { servePage } from './serve.js';

/*
 * npm run bench:web [-- PORT]: builds the bench as a page into out/bench-web and serves it to browsers on this machine,
 * on port 8080 or another one, until Ctrl-C.
 */

const text = process.argv[2] ?? '8080';
const port = Number(text);
try {
  if (!/^\d+$/.test(text) || port > 65_535) throw new Error(`"${text}" is not a port`);
  const folder = join(PACKAGE_ROOT, 'out', 'bench-web');
  await buildPage(folder);
  const { address } = await servePage(folder, port);
  console.log(`${address} - open it in a browser with WebGPU; Ctrl-C ends it`);
} catch (error) {
  console.error(`bench:web: ${(error as Error).message}`);
  process.exitCode = 1;
}
