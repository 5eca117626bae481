import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { FileError, writeFileAtomic } from '../data/atomic-file.js';
import { writePng } from '../data/image.js';
import { readLandmarks } from '../data/landmarks.js';
import { type DemoFace, type DemoRate, runDemoRate } from '../evaluation/demo-evaluation.js';
import { demoHtml, demoMeans, demoSheet, facesTable, timesTable } from '../evaluation/demo-report.js';
import { textTable } from '../evaluation/tables.js';
import { findPackage } from '../gpu/node/packages.js';
import { CodecSession, readWeights } from './codec-session.js';
import { complain, orComplain } from './complain.js';
import { COMPACT_SUFFIX } from './encode.js';
import { Outputs } from './outputs.js';
import { PACKAGE_ROOT } from './package-root.js';
import { readPhotoFaces } from './photo-faces.js';
import { startProgress } from './progress.js';

/** MIT-licensed; ships six photographs in its folder `demo`. */
const PHOTO_PACKAGE = '@vladmandic/face-api';

interface DemoOptions {
  out: string;
  model?: string;
}

/** Adds `cameo demo` to the program. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('compress and restore the faces of six photographs at every rate, beside JPEG and JPEG2000')
    .option('-o, --out <dir>', 'folder for compact files, contact sheet and report', 'out/demo')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else those that are shipped)')
    .addHelpText('after', `\nThe photographs are those of the npm package ${PHOTO_PACKAGE}, a development dependency.`)
    .action(runDemo);
}

async function runDemo({ out, model }: DemoOptions): Promise<void> {
  const start = performance.now();
  const weights = await readWeights(model);
  await Outputs.in(out);
  const faces = await demoFaces();

  const session = new CodecSession(weights);
  try {
    const codec = await session.codec();
    const { description } = await session.gpu();
    const device = description.description || description.device;
    console.log(
      `${faces.length} faces, ${codec.rates} rates, model ${codec.modelId}, on ${description.device} (${device})`,
    );
    if (description.kind !== 'hardware') {
      console.log('This adapter runs on the CPU; a GPU would be many times faster: see `cameo doctor`.');
    }
    // Builds the kernels, so that the times below are those of the work.
    const [first] = faces;
    await codec.decode(await codec.encode([first.pixels], 0));
    const bar = startProgress(faces.length * codec.rates, 'faces × rates');
    const rates: DemoRate[] = [];
    try {
      let done = 0;
      for (let rate = 0; rate < codec.rates; rate++) {
        rates.push(await runDemoRate(codec, faces, rate, () => bar.update(++done)));
      }
    } finally {
      bar.stop();
    }

    for (const { rate, faces: results } of rates) {
      const { folder } = await Outputs.in(join(out, `rate${rate}`));
      for (const { face, file } of results) await writeFileAtomic(join(folder, `${face.name}${COMPACT_SUFFIX}`), file);
    }
    const sheet = join(out, 'contact-sheet.png');
    const report = join(out, 'report.html');
    await writePng(sheet, demoSheet(rates[0]));
    await writeFileAtomic(report, await demoHtml(rates, device));

    for (const table of [facesTable(rates[0]), demoMeans(rates), timesTable(rates, device)]) {
      console.log(`\n${textTable(table)}`);
    }
    console.log(`\n${sheet}: the pictures at rate 0`);
    console.log(`${report}: all of this, with the pictures at every rate`);
    console.log(
      `${join(out, 'rate0', `*${COMPACT_SUFFIX}`)}: the files; \`cameo info\` and \`cameo decode\` read them`,
    );
    console.log(`\nDone in ${((performance.now() - start) / 1000).toFixed(0)} s.`);
  } finally {
    await session.close();
  }
}

/** The aligned faces of the photographs, by their landmarks in demo/landmarks.json. */
async function demoFaces(): Promise<DemoFace[]> {
  const found = findPackage(PHOTO_PACKAGE);
  if (!found) {
    throw new FileError(`the demo's photographs are missing: npm install --save-dev ${PHOTO_PACKAGE}`);
  }
  const landmarks = await readLandmarks(join(PACKAGE_ROOT, 'demo', 'landmarks.json'));
  const faces: DemoFace[] = [];
  for (const photo of landmarks.keys()) {
    const path = join(found.root, 'demo', photo);
    const shown = relative(process.cwd(), path);
    faces.push(...((await orComplain(shown, () => readPhotoFaces(path, landmarks, complain))) ?? []));
  }
  if (faces.length === 0) throw new FileError(`${join(found.root, 'demo')}: no photograph can be read`);
  return faces;
}
