import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundlePage, withBenchPanel } from '../bench/web/build.js';
import { PANEL_STYLE } from '../bench/web/panel-style.js';
import { readKlt, tablesOf } from '../src/codec/codec-weights.js';
import { packFaceBare } from '../src/codec/container/face-bare.js';
import { packFaceFile } from '../src/codec/container/face-file.js';
import { parseJson } from '../src/common/json.js';
import { PACKAGE_ROOT } from '../src/data/files/package-root.js';
import { REPORT_STYLE } from '../src/evaluation/reports/html-report.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const CODEC = 'models/face.safetensors';
/** Files that the page loads when it first needs them, and then keeps. */
const MODELS = [
  CODEC,
  'models/recognizer.safetensors',
  'models/verification-thresholds.json',
  'models/codec.safetensors',
];
const DETECTOR = 'models/face-detector.safetensors';
const TRAINING = ['invented-people.jpg', 'training-start.safetensors'];
const PICTURE = 'invented-face.png';
const STYLES = ['style.css', 'photograph.css', 'sections.css', 'narrow.css'];

/** A file of the page, and the path that it is copied from. */
interface CopiedFile {
  name: string;
  from: string;
}

/** The weights of the face detector: CAMEO_DETECTOR if it is set, else the shipped ones; null if there are none. */
function detectorFile(): string | null {
  const shipped = join(PACKAGE_ROOT, DETECTOR);
  return process.env.CAMEO_DETECTOR || (existsSync(shipped) ? shipped : null);
}

/** The first 12 hexadecimal digits of a file's SHA-256. */
const digestOf = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
    .slice(0, 12);

/** The face that the page opens with, packed by the shipped codec as a file and as a bare face, both in base64. */
async function inventedFace(): Promise<{ file: string; bare: string }> {
  const { model } = tablesOf(readKlt(await readFile(join(PACKAGE_ROOT, CODEC))));
  const path = here('invented-face.json');
  const { qIndex, grey, symbols } = parseJson(await readFile(path, 'utf8'), path) as {
    qIndex: number;
    grey: boolean;
    symbols: [number, number][];
  };
  const face = { qIndex, grey, symbols: new Int16Array(model.latents) };
  for (const [k, symbol] of symbols) face.symbols[k] = symbol;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  return { file: text(packFaceFile(face, model)), bare: text(packFaceBare(face, model)) };
}

/** Builds the service worker, which keeps the files of the page so that it opens without a network. @param shell those files */
async function buildWorker(outdir: string, shell: readonly string[]): Promise<void> {
  const digests = await Promise.all(shell.map((name) => digestOf(join(outdir, name))));
  const version = createHash('sha256').update(digests.join()).digest('hex').slice(0, 12);
  await build({
    entryPoints: { sw: here('service-worker.ts') },
    outdir,
    bundle: true,
    minify: true,
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
    define: { SHELL_FILES: JSON.stringify(shell), SHELL_VERSION: JSON.stringify(version) },
  });
}

/**
 * Builds the demo page into a folder, which it empties first. Any server of static files can serve the folder under any path: all
 * addresses are relative, and the page asks for no other files.
 * @param detector weights of the face detector; with null, visitors place the points by hand
 * @returns the names of the files
 * @throws Error if a file is missing
 */
export async function buildDemo(outdir: string, detector: string | null = detectorFile()): Promise<readonly string[]> {
  const files: CopiedFile[] = [
    ...MODELS.map((name) => ({ name, from: join(PACKAGE_ROOT, name) })),
    ...TRAINING.map((name) => ({ name, from: here(name) })),
    ...(detector === null ? [] : [{ name: DETECTOR, from: detector }]),
  ];
  const digests = await Promise.all(files.map(async ({ name, from }) => [name, await digestOf(from)]));
  const scripts = await bundlePage(here('page.ts'), outdir, {
    FACE_DETECTOR: String(detector !== null),
    FILE_DIGESTS: JSON.stringify(Object.fromEntries(digests)),
    INVENTED_FACE: JSON.stringify(await inventedFace()),
  });
  await writeFile(join(outdir, 'index.html'), await withBenchPanel(here('index.html')));
  const styles = await Promise.all(STYLES.map((name) => readFile(here(name), 'utf8')));
  await writeFile(join(outdir, 'style.css'), [REPORT_STYLE, PANEL_STYLE, ...styles].join('\n'));
  for (const { name, from } of [...files, { name: PICTURE, from: here(PICTURE) }]) {
    await mkdir(dirname(join(outdir, name)), { recursive: true });
    await copyFile(from, join(outdir, name));
  }
  const shell = ['index.html', 'style.css', PICTURE, ...scripts];
  await buildWorker(outdir, shell);
  return [...shell, 'sw.js', ...files.map(({ name }) => name)];
}
