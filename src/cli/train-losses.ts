import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomic } from '../data/files/atomic-file.js';
import { runMetadata } from '../evaluation/reports/collect-metadata.js';
import { gitCommit } from '../evaluation/reports/git-commit.js';
import { listLines, metadataTexts, type RunMetadata } from '../evaluation/reports/run-metadata.js';
import { markdownTable, textTable } from '../evaluation/reports/tables.js';
import { LazyDevice } from '../gpu/device-source.js';
import { LOSSES } from '../ops/margin-loss.js';
import {
  checkRecognitionTraining,
  DEFAULT_RECOGNITION_TRAINING,
  type RecognitionTrainingConfig,
} from '../training/recognition-config.js';
import { trainRecognition } from '../training/train-recognition.js';
import { openDevice } from './device.js';
import { FaceFinder } from './face-finder.js';
import { DETECTOR_HELP } from './face-options.js';
import { number } from './numbers.js';
import { Outputs } from './outputs.js';
import { dataFolder } from './places.js';
import { print, say } from './terminal.js';
import { DEFAULT_MARGINS } from './train-recognition.js';

interface LossesOptions {
  data?: string;
  sources?: string;
  detector?: string;
  steps: number;
  batch: number;
  channels: string;
  out: string;
}

/** Adds `losses` to `cameo train`. */
export function addTrainLosses(train: Command): void {
  train
    .command('losses')
    .description(
      'train the same small network with each loss on the same batches, and compare them on held-out identities',
    )
    .option('--data <dir>', 'folder of aligned 96×112 faces with identities (default: CAMEO_DATA, else ../shared/data)')
    .option('--sources <names>', 'use only these sources of the manifest, separated by commas')
    .option('--detector <file>', DETECTOR_HELP)
    .option('--steps <n>', 'training steps for each loss', number, 400)
    .option('--batch <n>', 'faces in a step', number, 32)
    .option('--channels <list>', 'channels of the four stages', '16,24,32,64')
    .option('-o, --out <dir>', 'folder for losses.json and losses.md', 'results')
    .action(run);
}

type LossResult = RecognitionTrainingConfig['loss'] &
  Pick<Awaited<ReturnType<typeof trainRecognition>>, 'lastLoss' | 'validation'> & { seconds: number };

interface LossesReport extends RunMetadata {
  data: { identities: number; faces: number; sources: string };
  config: RecognitionTrainingConfig;
  results: LossResult[];
}

async function run(options: LossesOptions): Promise<void> {
  const channels = options.channels.split(',').map(Number);
  const base: RecognitionTrainingConfig = {
    ...DEFAULT_RECOGNITION_TRAINING,
    steps: options.steps,
    batchSize: options.batch,
    marginWarmUpSteps: Math.round(options.steps / 4),
    warmUpSteps: Math.round(options.steps / 20),
    model: {
      ...DEFAULT_RECOGNITION_TRAINING.model,
      channels: channels as unknown as RecognitionTrainingConfig['model']['channels'],
      units: [0, 0, 0, 0],
    },
  };
  checkRecognitionTraining(base);
  const data = dataFolder(options.data);
  const outputs = await Outputs.in(options.out);
  await outputs.reserve(['losses.json', 'losses.md'], []);
  const commit = gitCommit(); // at the start, because files may change while the program runs
  const finder = await FaceFinder.forFolder(options.detector);
  const device = new LazyDevice(openDevice);
  const folder = await mkdtemp(join(tmpdir(), 'cameo-losses-'));
  try {
    const results: LossResult[] = [];
    let identities = 0;
    let faces = 0;
    for (const loss of LOSSES) {
      const config = { ...base, loss: { loss, ...DEFAULT_MARGINS[loss] } };
      const start = performance.now();
      const { validation, lastLoss } = await trainRecognition({
        gpu: device.open,
        align: finder.aligner(),
        config,
        data,
        sources: options.sources?.split(','),
        out: join(folder, loss),
        checkpointEvery: options.steps,
        onStart: ({ labelling }) => {
          identities = labelling.identities.length;
          faces = labelling.labelled.length;
        },
      });
      const seconds = (performance.now() - start) / 1000;
      say(`${loss}: ${seconds.toFixed(0)} s, held-out ${JSON.stringify(validation)}`);
      results.push({ ...config.loss, lastLoss, validation, seconds });
    }
    const gpu = await device.open();
    const report: LossesReport = {
      ...runMetadata(gpu.description, commit),
      data: { identities, faces, sources: options.sources ?? 'all' },
      config: base,
      results,
    };
    await writeReport(options.out, report);
  } finally {
    finder.close();
    await device.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes the report as losses.json and losses.md into a folder, and prints its table. */
async function writeReport(out: string, report: LossesReport): Promise<void> {
  const { results, data, config } = report;
  const percent = (share: number | undefined): string => (share === undefined ? '' : `${(100 * share).toFixed(1)} %`);
  const uses = { scale: ['cosface', 'arcface', 'normface'], margin: ['cosface', 'arcface', 'sphereface'] };
  const table = {
    title: 'Held-out identities',
    columns: ['Loss', 'scale', 'margin', 'λ', 'accuracy', 'TAR at FAR 1e-2', 'TAR at FAR 1e-3'],
    rows: results.map(({ loss, scale, margin, lambda, validation }) => [
      loss,
      uses.scale.includes(loss) ? scale : '–',
      uses.margin.includes(loss) ? margin : '–',
      loss === 'sphereface' ? lambda : '–',
      percent(validation?.accuracy),
      percent(validation?.tar2),
      percent(validation?.tar3),
    ]),
    note: `All pairs of ${results[0].validation?.faces ?? 0} faces of split val: ${results[0].validation?.genuine ?? 0} genuine, ${results[0].validation?.impostor ?? 0} impostor. One seed each: differences of a few points may be chance.`,
  };
  const metadata = [
    `${data.faces} faces of ${data.identities} identities (sources ${data.sources}), ${config.steps} steps of ${config.batchSize}, the same batches, first weights and schedule for each`,
    `Network: CameoFace, channels ${config.model.channels.join('-')}, no residual units; AdamW`,
    ...metadataTexts(report),
  ];
  await writeFileAtomic(join(out, 'losses.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(
    join(out, 'losses.md'),
    `# Losses under equal budgets\n\n${listLines(metadata)}\n\n${markdownTable(table)}\n`,
  );
  print(textTable(table));
}
