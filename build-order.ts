import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { build, transform } from 'esbuild';
import { shortShaders } from './build-wgsl.js';
import { CounterRandom } from './src/common/random.js';

/*
 * tsx build-order.ts [MOVES]: improves build-order.json, the order in which `build.ts` puts the files of the engine into its bundles. gzip
 * looks back only 32 kB, so it finds more repetitions if similar files are near each other. This moves files at random and keeps what
 * makes two programs smaller: one that has everything of `cameo/engine`, and one that has a convolution. Files that the list lacks are
 * bundled as well, so write it again only now and then; 1,000 moves take some 20 seconds.
 */

const PROGRAMS = [
  "export * from './src/engine.js';",
  "import { conv2d, openBrowserGpu, Tensor } from './src/engine.js'; console.log(conv2d, openBrowserGpu, Tensor);",
];

interface Program {
  /** The minified text of each file. */
  texts: Map<string, string>;
  /** The files that each file imports. */
  imports: Map<string, string[]>;
}

async function partsOf(contents: string): Promise<Program> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: '.' },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minifyIdentifiers: true,
    minifySyntax: true,
    write: false,
    metafile: true,
    plugins: [shortShaders],
  });
  const texts = new Map<string, string>();
  // esbuild writes the path of each file in front of its part.
  const [, ...parts] = outputFiles[0].text.replace(/^export \{[^}]*\};/m, '').split(/^\/\/ (?=\S+\.(?:js|ts)$)/m);
  for (const part of parts) {
    const end = part.indexOf('\n');
    const { code } = await transform(part.slice(end), { minifyWhitespace: true });
    texts.set(part.slice(0, end), code);
  }
  const importsOf = (file: string) => metafile.inputs[file].imports.map(({ path }) => path);
  const imports = new Map([...texts.keys()].map((file) => [file, importsOf(file).filter((path) => texts.has(path))]));
  return { texts, imports };
}

const ORDER = 'build-order.json';
const moves = Number(process.argv[2] ?? 10_000);
const programs = await Promise.all(PROGRAMS.map(partsOf));
const [{ texts, imports }] = programs;

/** What is made smaller: the bytes of both programs after compression. */
function costOf(order: readonly string[]): number {
  const sizes = programs.map(({ texts }) => {
    const text = order.map((file) => texts.get(file) ?? '').join('');
    return deflateRawSync(text, { level: 9 }).length;
  });
  return sizes[0] + sizes[1];
}

/** The files in this order, as far as each comes after those that it imports: bundlers put them so. */
function afterImports(order: readonly string[]): string[] {
  const placed = new Set<string>();
  const waiting = new Set<string>();
  const isReady = (file: string) => imports.get(file)?.every((other) => placed.has(other));
  for (const next of order) {
    waiting.add(next);
    // A file may let another one in that waits for it, which may come before it in the set.
    for (let file: string | undefined = next; file; file = [...waiting].find(isReady)) {
      if (!isReady(file)) break;
      waiting.delete(file);
      placed.add(file);
    }
  }
  return [...placed];
}

/** The order with up to 6 adjacent files moved to another place. */
function moved(order: readonly string[], random: CounterRandom): string[] {
  const rest = [...order];
  const files = rest.splice(random.int(rest.length), 1 + random.int(6));
  if (random.int(3) === 0) files.reverse();
  rest.splice(random.int(rest.length + 1), 0, ...files);
  return afterImports(rest);
}

const random = new CounterRandom(1);
const before: string[] = existsSync(ORDER) ? JSON.parse(readFileSync(ORDER, 'utf8')) : [];
let order = afterImports([...before.filter((file) => imports.has(file)), ...texts.keys()]);
let cost = costOf(order);
console.log(`${cost} bytes`);
for (let k = 0; k < moves; k++) {
  const next = moved(order, random);
  const nextCost = costOf(next);
  // Simulated annealing: a worse order is accepted at times, and less often towards the end.
  const bytes = 3 * (1 - k / moves);
  if (nextCost <= cost || random.uniform() < Math.exp((cost - nextCost) / bytes)) [order, cost] = [next, nextCost];
}
console.log(`${cost} bytes`);
writeFileSync(ORDER, `${JSON.stringify(order, null, 2)}\n`);
