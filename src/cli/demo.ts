import { dirname, join, relative } from 'node:path';
import type { Command } from 'commander';
import { installHint } from '../common/optional-packages.js';
import { FileError, writeFileAtomic } from '../data/files/atomic-file.js';
import { PACKAGE_ROOT } from '../data/files/package-root.js';
import { encodePng } from '../data/pictures/image.js';
import { LandmarkIndex, readLandmarks } from '../data/pictures/landmarks.js';
import { markPng } from '../data/pictures/own-files.js';
import { tryBaselines } from '../evaluation/codecs/try-codecs.js';
import { atRate } from '../evaluation/quality/autoencoder-evaluation.js';
import { type DemoFace, type DemoRun, type DemoSetting, runDemo } from '../evaluation/quality/demo-evaluation.js';
import { demoHtml, demoMeans, demoSheet, facesTable, timesTable } from '../evaluation/reports/demo-report.js';
import { textTable } from '../evaluation/reports/tables.js';
import { findPackage } from '../gpu/node/packages.js';
import { CodecSession } from './codec-session.js';
import { SUFFIXES } from './compact-kind.js';
import { complain, orComplain } from './complain.js';
import { detectorPath } from './detector-file.js';
import { FaceFinder } from './face-finder.js';
import { integer } from './numbers.js';
import { Outputs } from './outputs.js';
import { type PhotoReading, readPhotoFaces } from './photo-faces.js';
import { startProgress } from './progress.js';
import { print, say } from './terminal.js';

/** MIT-licensed; has six photographs in its folder `demo`. */
const PHOTO_PACKAGE = '@vladmandic/face-api';

interface DemoOptions {
  out: string;
  model?: string;
  detector?: string;
  limit: number;
}

/** Adds `cameo demo` to the program. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('compress and restore the faces of six photographs at several sizes, beside JPEG and JPEG2000')
    .option('-o, --out <dir>', 'folder for compact files, contact sheet and report', 'out/demo')
    .option('--model <file>', 'weights (default: CAMEO_MODEL, else the shipped weights)')
    .option(
      '--detector <file>',
      'weights of the face detector (default: CAMEO_DETECTOR, else the shipped detector; without a detector, the faces of demo/landmarks.json)',
    )
    .option('--limit <n>', 'use only this many faces', integer(1, 1e6), 1e6)
    .addHelpText('after', `\nThe photographs are those of npm ${PHOTO_PACKAGE}: npm install ${PHOTO_PACKAGE}`)
    .action(runAll);
}

/** Bytes a face, where the model takes any. */
const BUDGETS = [300, 500];

/** All rates of the PNG codec, or two budgets of the other codec; and the suffix of the files. */
async function settingsOf(session: CodecSession): Promise<{ settings: DemoSetting[]; suffix: string }> {
  if (session.defaultKind === 'autoencoder') {
    const codec = await session.autoencoderCodec();
    const settings = Array.from({ length: codec.rates }, (_, rate) => ({
      name: `rate ${rate}`,
      folder: `rate${rate}`,
      coder: atRate(codec, rate),
    }));
    return { settings, suffix: SUFFIXES.png };
  }
  const codec = await session.faceCodec();
  const settings = BUDGETS.map((maxBytes) => ({
    name: `${maxBytes} bytes`,
    folder: `${maxBytes}bytes`,
    coder: {
      encode: (faces: readonly Uint8Array[]) => codec.encode(faces, { maxBytes }),
      decode: (files: readonly Uint8Array[]) => codec.decode(files),
    },
  }));
  return { settings, suffix: SUFFIXES.file };
}

async function runAll({ out, model, detector, limit }: DemoOptions): Promise<void> {
  const start = performance.now();
  const session = await CodecSession.open(model);
  const { modelId } = await session.weights(session.defaultKind);
  const outputs = await Outputs.in(out);
  await outputs.reserve(['contact-sheet.png', 'report.html'], [session.chosen?.path]);
  await tryBaselines();
  const faces = (await demoFaces(limit, detector)).slice(0, limit);

  try {
    const { settings, suffix } = await settingsOf(session);
    const { description } = await session.gpu();
    const device = description.description || description.device;
    const sizes = settings.map(({ name }) => name).join(', ');
    say(`${faces.length} faces at ${sizes}, model ${modelId}, on ${description.device} (${device})`);
    if (description.kind !== 'hardware') {
      say('This adapter runs on the CPU; a GPU would be many times faster: see `cameo doctor`.');
    }
    // Compiles the kernels, so that the times below do not include it.
    const { coder } = settings[0];
    await coder.decode(await coder.encode([faces[0].pixels]));
    const bar = startProgress(faces.length * settings.length, 'faces × sizes');
    const runs: DemoRun[] = [];
    try {
      let done = 0;
      for (const setting of settings) runs.push(await runDemo(setting, faces, () => bar.update(++done)));
    } finally {
      bar.stop();
    }

    for (const [k, { faces: results }] of runs.entries()) {
      const { folder } = await Outputs.in(join(out, settings[k].folder));
      for (const { face, file } of results) await writeFileAtomic(join(folder, `${face.name}${suffix}`), file);
    }
    const sheet = join(out, 'contact-sheet.png');
    const report = join(out, 'report.html');
    const sheets = await Promise.all(runs.map((run) => encodePng(demoSheet(run))));
    await writeFileAtomic(sheet, markPng(sheets[0], 'contact sheet of restored faces'));
    await writeFileAtomic(report, demoHtml(runs, sheets, device));

    for (const table of [facesTable(runs[0]), demoMeans(runs), timesTable(runs, device)]) {
      print(`\n${textTable(table)}`);
    }
    const [first] = settings;
    say(`\n${sheet}: the pictures at ${first.name}`);
    say(`${report}: these tables, with the pictures at ${sizes}`);
    say(`${join(out, first.folder, `*${suffix}`)}: the files; \`cameo info\` and \`cameo decode\` read them`);
    say(`\nDone in ${((performance.now() - start) / 1000).toFixed(0)} s.`);
  } finally {
    await session.close();
  }
}

/** The aligned faces of the photographs, found by the detector or else listed; from as many photographs as `count` faces need. */
async function demoFaces(count: number, detector: string | undefined): Promise<DemoFace[]> {
  const photos = findPackage(PHOTO_PACKAGE);
  if (!photos) {
    throw new FileError(`the demo's photographs are those of npm ${PHOTO_PACKAGE}; ${installHint(PHOTO_PACKAGE)}`);
  }
  const listed = await readLandmarks(join(PACKAGE_ROOT, 'demo', 'landmarks.json'));
  const paths = [...listed.keys()].map((photo) => join(photos.root, 'demo', photo));
  const weights = detectorPath(detector);
  const finder = new FaceFinder({ detector: weights });
  if (weights !== undefined) await finder.file();
  say(
    weights === undefined
      ? 'there is no face detector; using the faces of demo/landmarks.json'
      : `finding faces with ${weights}`,
  );
  const named = paths.map((path) => ({ path }));
  const landmarks = weights === undefined ? new LandmarkIndex(listed, named) : undefined;
  const reading = { landmarks, finder, onBadFace: complain };
  try {
    return await facesOf(paths, count, reading);
  } finally {
    finder.close();
  }
}

async function facesOf(paths: readonly string[], count: number, reading: PhotoReading): Promise<DemoFace[]> {
  const faces: DemoFace[] = [];
  for (const path of paths) {
    if (faces.length >= count) break;
    const shown = relative(process.cwd(), path);
    faces.push(...((await orComplain(shown, () => readPhotoFaces(path, reading))) ?? []));
  }
  if (faces.length === 0) throw new FileError(`${dirname(paths[0])}: no photograph can be read`);
  return faces;
}
